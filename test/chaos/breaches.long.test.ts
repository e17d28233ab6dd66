import { describe, expect, it } from 'vitest'
import { twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const handshake = [
  'GET /ws HTTP/1.1',
  'Host: a',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n')
const accepted =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

describe.each(twoFronts)('breaches through $name', (kind) => {
  it('uploads of 6 MiB against targets that cut their answers: no crash, nothing left behind', async () => {
    const answers = [
      '',
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n',
      'HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 100\r\n\r\npart',
      'garbage\r\n\r\n',
    ]
    const origin = own(
      await rawOrigin(async (connection) => {
        // At any point of the upload, from its first bytes to its last.
        await connection.until(1 + ((connection.index * 131_071) % (6 * 1024 * 1024)))
        await connection.write(answers[connection.index % answers.length] as string)
        if (connection.index % 2 === 0) connection.reset()
        else connection.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const leaks = leakCheck()
    const body = Buffer.alloc(6 * 1024 * 1024, 'x')
    for (let round = 0; round < 12; round++) {
      await Promise.all(
        Array.from({ length: 8 }, async (_, i) => {
          const call = front.client.call({ method: 'POST', body, chunked: i % 2 === 0 })
          call.body.on('error', () => {})
          const answer = await call.answer().catch(() => undefined)
          if (answer?.status === 200) expect(answer.complete).toBe(false)
          else if (answer !== undefined) expect([500, 502]).toContain(answer.status)
          call.abort()
        }),
      )
    }
    await until(() => front.inFlight === 0, 'all leases to be released')
    await front.client.close()
    await leaks.settled()
  }, 120_000)

  it('an upgrade that either side resets at any byte leaves nothing behind', async () => {
    const answer = `${accepted}data from the target`
    let cut = answer.length
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(answer.slice(0, cut))
        if (cut < answer.length) connection.reset()
      }),
    )
    const front = own(await kind.start(origin.url))
    const leaks = leakCheck()
    for (cut = 0; cut < answer.length; cut++) {
      const client = await rawClient(front.port)
      client.write(`${handshake}data from the client`)
      await client.closed
      if (cut < accepted.length) expect([cut, client.text.slice(0, 12)]).toEqual([cut, 'HTTP/1.1 502'])
    }
    cut = answer.length
    const request = `${handshake}data from the client`
    for (let at = 0; at <= request.length; at++) {
      for (const turns of [0, 1, 5]) {
        const client = await rawClient(front.port)
        client.write(request.slice(0, at))
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
        client.reset()
      }
    }
    await until(() => front.inFlight === 0, 'all leases to be released')
    await until(() => origin.sockets === 0, 'the connections to the target to close')
    await leaks.settled()
  }, 120_000)
})
