import type { Context, Handler, Reply } from '@sluice/core'
import { get } from '@sluice/headers'
import { expect, it } from 'vitest'
import { createCompressor } from './compressor.js'
import { compress } from './middleware.js'

const ask = (handler: Handler, headers: string[]) =>
  handler({ out: { method: 'GET', headers } } as unknown as Context) as Promise<Reply>

it('asks for no part by its date where another compressor may be chosen, which codes for that client', async () => {
  const route = createCompressor({ encodings: ['gzip'] })
  const seen: (string | undefined)[] = []
  const target: Handler = async (ctx) => {
    seen.push(get(ctx.out.headers, 'range'))
    return { status: 200, headers: ['Content-Type', 'text/html'], body: 'x'.repeat(2000) }
  }
  const going = ['Range', 'bytes=9-', 'If-Range', new Date(0).toUTCString(), 'Accept-Encoding', 'gzip']
  const routed = compress({ encodings: ['br'] }, () => route)
  expect(get((await ask(routed(target), going)).headers, 'content-encoding')).toBe('gzip')
  // To a compressor that never codes for this client the date is as good as it was.
  await ask(compress({ encodings: ['br'] })(target), going)
  expect(seen).toEqual([undefined, 'bytes=9-'])
})

it.each([[undefined], [null], ['text']])(
  'leaves it to the mount to tell what is no reply: %s',
  async (given) => {
    const handler = compress()(() => given as unknown as Reply)
    expect(await ask(handler, ['Accept-Encoding', 'gzip'])).toBe(given)
  },
)
