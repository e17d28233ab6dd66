import { once } from 'node:events'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { frameClient, frameTypes, http2Frame } from '../../../test/kit/http2-frames.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { attach } from './index.js'

trapUnhandled()
const own = owner()

const { data, reset, windowUpdate } = frameTypes

it('an answer ahead of the request’s end is whole before its stream is reset, also where its end waits for the window of the connection', async () => {
  const server = own(createServer().listen(0, '127.0.0.1'))
  attach(server, ({ out: { method } }) => ({
    status: 200,
    headers: [],
    body: method === 'GET' ? Buffer.alloc(200_000) : 'too large',
  }))
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
  const giveRoom = (bytes: number): void => {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(bytes)
    client.write(http2Frame(windowUpdate, 0, 0, payload))
  }
  client.request(1)
  await until(() => bytesOf(1) === 65_535, 'the window to be full')
  client.request(3, true)
  await client.frame(frameTypes.headers, 3)
  giveRoom(9)
  await until(() => bytesOf(3) === 9, 'the answer')
  // The end is about to go out, and the other stream takes the room.
  giveRoom(9)
  await until(() => bytesOf(1) === 65_544, 'the other stream to go on')
  giveRoom(500_000)
  await client.frame(reset, 3)
  const ofIt = client.frames.filter(({ stream }) => stream === 3).map(({ type, flags }) => [type, flags & 1])
  expect(ofIt.slice(-2)).toEqual([
    [data, 1],
    [reset, 0],
  ])
})
