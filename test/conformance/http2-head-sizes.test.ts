import { createServer } from 'node:http'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { http2Origin } from '../kit/http2-origin.js'
import { listen } from '../kit/listen.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const fields = (count: number, size: number): string[] =>
  Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'.repeat(size)]).flat()

describe('a request whose head is too large for its target', () => {
  it.each([
    ['for HTTP/2', fields(1, 66_000)],
    ['for a server of Node, which resets its stream', fields(150, 1)],
  ])('%s is answered 431; it is not sent elsewhere, and nobody is ejected', async (_what, headers) => {
    const targets = [own(await http2Origin()), own(await http2Origin())]
    const proxy = createProxy({
      upstreams: { default: { targets: targets.map(({ url }) => ({ url })), http2: 'prior-knowledge' } },
      guard: false,
    })
    own({ close: () => proxy.close() })
    const { client } = own(await listen(createServer({ maxHeaderSize: 128 * 1024 }, proxy.listener)))
    for (let i = 0; i < 10; i++) expect((await client.ask({ headers })).status).toBe(431)
    expect(proxy.upstreams.get('default')?.all.map(({ state }) => state)).not.toContain('ejected')
    for (let i = 0; i < 2; i++) expect(await client.ask()).toMatchObject({ status: 200, text: 'ok' })
    expect(targets.map(({ streams }) => streams.length)).toEqual([1, 1])
    expect(targets.map(({ connections }) => connections)).toEqual([1, 1])
  })
})
