import { once } from 'node:events'
import { connect, createServer, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { chain } from './chain.js'
import { Exchange } from './exchange.js'
import { toListener } from './mount.js'
import { unhandled } from './reply.js'

trapUnhandled()

/** What can be reached from a value by its properties, and by what collections hold. */
function* reachable(from: object): Generator<object> {
  const seen = new Set<object>([from])
  for (const one of seen) {
    yield one
    const within = one instanceof Map || one instanceof Set ? [...one].flat() : []
    for (const key of Reflect.ownKeys(one))
      within.push((Object.getOwnPropertyDescriptor(one, key) as PropertyDescriptor).value)
    for (const value of within) if (typeof value === 'object' && value !== null) seen.add(value)
  }
}

// Node keeps some streams that have ended till the next full collection, by tables of its own; so they must not keep what has served them.
it('leads from a response of HTTP/2 to its exchange only as long as that is open', async () => {
  const body = Buffer.from('whole')
  let response: Http2ServerResponse | undefined
  let isLed: boolean | undefined
  const isLedTo = (res: object) => [...reachable(res)].some((one) => one instanceof Exchange)
  const listener = toListener(
    chain().handle(() => {
      isLed = isLedTo(response as Http2ServerResponse)
      return { status: 200, headers: ['content-length', '5'], body }
    }),
  )
  const server = createServer((req, res) => {
    response = res
    listener(req, res)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    const stream = client.request({ ':path': '/' }).resume()
    await once(stream, 'close')
    const res = response as unknown as Http2ServerResponse
    if (!res.stream?.destroyed) await once(res, 'close')
    await new Promise(setImmediate)
    expect([isLed, isLedTo(res)]).toEqual([true, false])
  } finally {
    client.destroy()
    server.close()
  }
})

it('ends once what two mounts have served, one after the other', async () => {
  const first = toListener(chain().handle(() => unhandled))
  const second = toListener(chain().handle(() => ({ status: 201, headers: [], body: null })))
  const server = createServer((req, res) => first(req, res, () => second(req, res))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    for (let i = 0; i < 3; i++) {
      const stream = client.request({ ':path': '/' }).resume()
      const [head] = (await once(stream, 'response')) as [Record<string, unknown>]
      expect(head[':status']).toBe(201)
      if (!stream.closed) await once(stream, 'close')
      // What throws in a listener of the server's would end the process by now.
      await new Promise(setImmediate)
    }
  } finally {
    client.destroy()
    server.close()
  }
})
