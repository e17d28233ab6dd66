import { createServer } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import { describe, expect, it } from 'vitest'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { rawRequest } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { PushBody, toListener } from './index.js'

trapUnhandled()
const own = owner()

class Flowing extends PushBody {
  stopped = 0

  /** Parts that are there before somebody takes it. */
  constructor(parts: number) {
    super()
    for (let i = 0; i < parts; i++) this.push(Buffer.from('part'))
  }

  more(): boolean {
    return this.push(Buffer.from('more'))
  }

  protected resume(): void {}

  protected stop(): void {
    this.stopped++
  }
}

describe.each([
  ['HTTP/1', false],
  ['HTTP/2', true],
])('a head that can’t be sent over %s', (_name, http2) => {
  it.each([0, 1, 2, 3])('is answered 500, and its body with %i parts is let go', async (parts) => {
    const body = new Flowing(parts)
    const kinds: string[] = []
    const listener = toListener((ctx) => {
      ctx.onClose(({ kind }) => void kinds.push(kind))
      return { status: 200, headers: ['x', 'a\nb'], body }
    })
    const server = http2 ? createHttp2(listener) : createServer(listener)
    const { client } = own(await listen(server, { http2 }))
    expect(await client.ask()).toMatchObject({ status: 500, text: '500 Internal Server Error\n' })
    expect([body.stopped, body.more(), kinds]).toEqual([1, false, ['error']])
  })
})

it('a head that can’t be sent over HTTP/1 leaves the page no phrase of its own', async () => {
  const listener = toListener(() => ({ status: 200, headers: ['x', 'a\nb'], body: new Flowing(2) }))
  const { port } = own(await listen(createServer(listener)))
  const { responses } = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
  expect(responses[0]).toMatchObject({ statusLine: 'HTTP/1.1 500 Internal Server Error' })
})

it('a value longer than any client of HTTP/2 takes is 502, and its connection goes on', async () => {
  const fields = { '/long': ['x', '~'.repeat(70_000)], '/short': ['x', '~'.repeat(60_000)] }
  const listener = toListener(({ out }) => ({
    status: 200,
    headers: fields[out.path as '/long'],
    body: 'ok',
  }))
  const server = createHttp2({ maxSendHeaderBlockLength: 128 * 1024 }, listener)
  const { client } = own(await listen(server, { http2: true }))
  expect((await client.ask({ path: '/long' })).status).toBe(502)
  expect((await client.ask({ path: '/short' })).status).toBe(200)
})
