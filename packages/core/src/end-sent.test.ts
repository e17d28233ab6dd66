import { once } from 'node:events'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, it } from 'vitest'
import { type FrameClient, frameClient, frameTypes, http2Frame } from '../../../test/kit/http2-frames.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { attach, type Handler } from './index.js'

trapUnhandled()
const own = owner()

const { data, headers, reset, windowUpdate } = frameTypes

/** A client whose connection's window a large answer has filled. */
async function withFullWindow(handler: Handler) {
  const server = own(createServer().listen(0, '127.0.0.1'))
  attach(server, (ctx) => {
    const { method } = ctx.out
    return method === 'GET' ? { status: 200, headers: [], body: Buffer.alloc(200_000) } : handler(ctx)
  })
  await once(server, 'listening')
  // 4: SETTINGS_INITIAL_WINDOW_SIZE. That of the connection is 65535.
  const client = own(
    await frameClient((server.address() as AddressInfo).port, { settings: { 4: 1_000_000 } }),
  )
  const bytesOf = (stream: number): number =>
    client.frames.reduce(
      (sum, frame) => (frame.type === data && frame.stream === stream ? sum + frame.payload.length : sum),
      0,
    )
  /** For so many bytes, whichever stream takes it: an end of one is about to go out, and the other is first. */
  const giveRoom = async (bytes: number): Promise<void> => {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(bytes)
    const before = bytesOf(1) + bytesOf(3)
    client.write(http2Frame(windowUpdate, 0, 0, payload))
    await until(() => bytesOf(1) + bytesOf(3) >= Math.min(before + bytes, 200_009), 'the room to be used')
  }
  client.request(1)
  await until(() => bytesOf(1) === 65_535, 'the window to be full')
  return { client, giveRoom }
}

/** Types of the frames of stream 3, and whether each is the last. */
const third = ({ frames }: FrameClient): unknown[] =>
  frames.filter(({ stream }) => stream === 3).map(({ type, flags }) => [type, flags & 1])

it('an answer ahead of the request’s end is whole before its stream is reset, also where its end waits for the window of the connection', async () => {
  const { client, giveRoom } = await withFullWindow(() => ({
    status: 413,
    headers: [],
    body: 'too large',
  }))
  client.request(3, true)
  await client.frame(headers, 3)
  for (const bytes of [9, 9, 9, 500_000]) await giveRoom(bytes)
  await client.frame(reset, 3)
  expect(third(client).slice(-2)).toEqual([
    [data, 1],
    [reset, 0],
  ])
})

it('a tunnel that its target has ended in order ends so for its client', async () => {
  const target = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    final(done) {
      this.push('good-bye!')
      this.push(null)
      done()
    },
  })
  const { client, giveRoom } = await withFullWindow(() => ({
    status: 200,
    headers: [],
    body: null,
    socket: target,
  }))
  // :method and :authority
  const connect = Buffer.concat([
    Buffer.from([0x02, 7]),
    Buffer.from('CONNECT'),
    Buffer.from([0x01, 3]),
    Buffer.from('a:1'),
  ])
  client.write(http2Frame(headers, 4, 3, connect))
  await client.frame(headers, 3)
  client.write(http2Frame(data, 1, 3))
  await until(() => target.destroyed, 'the end of the target')
  for (const bytes of [9, 9, 9, 500_000]) await giveRoom(bytes)
  await until(() => third(client).length > 2, 'the end')
  expect(third(client)).toEqual([
    [headers, 0],
    [data, 0],
    [data, 1],
  ])
})
