import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { Outcome } from '@sluice/core'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { deadTarget } from '../kit/dead-target.js'
import { fronts } from '../kit/fronts.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

describe.each(fronts)('the status of an outcome through $name', (kind) => {
  it.each([
    ['GET', 200, 'a page'],
    ['HEAD', 200, 'a page'],
    ['GET', 204, ''],
    ['GET', 404, 'not here'],
    ['POST', 503, 'a large page of an error'.repeat(10_000)],
  ])('is that of the answer: %s %d', async (method, status, body) => {
    const seen = observer()
    const origin = own(await originServer((_req, res) => void res.writeHead(status).end(body)))
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    expect(await front.client.ask({ method })).toMatchObject({ status })
    expect(await seen.outcome()).toMatchObject({ kind: 'done', status })
  })

  it('is that of an error page', async () => {
    const seen = observer()
    const front = own(await kind.start({ targets: own(await deadTarget()).url, use: [seen.layer] }))
    expect(await front.client.ask()).toMatchObject({ status: 502 })
    expect(await seen.outcome()).toMatchObject({ kind: 'error', status: 502 })
  })

  it('is none where the client has left before, and the one that it was told where it leaves later', async () => {
    const seen = observer()
    const origin = own(
      await originServer((req, res) => {
        if (req.url === '/late')
          res.writeHead(201, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const early = front.client.call({ path: '/early' })
    early.head.catch(() => {})
    await origin.request()
    early.abort()
    expect(await seen.outcome()).toMatchObject({ kind: 'client-left', status: undefined })
    const late = front.client.call({ path: '/late' })
    const { body } = await late.head
    await new Promise((resolve) => body.once('data', resolve))
    late.abort()
    expect(await seen.outcome(1)).toMatchObject({ kind: 'client-left', status: 201 })
  })
})

it('is what a tunnel was opened or refused with', async () => {
  const outcomes: (number | undefined)[] = []
  const hear = (message: unknown): void => {
    outcomes.push((message as { outcome: Outcome }).outcome.status)
  }
  diagnostics.subscribe('sluice:request:end', hear)
  own({ close: () => diagnostics.unsubscribe('sluice:request:end', hear) })
  const origin = own(await originServer())
  const sockets = new WebSocketServer({ noServer: true })
  origin.server.on('upgrade', (req, socket, head) => {
    if (req.url === '/no') return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
    sockets.handleUpgrade(req, socket, head, (peer) => peer.send('hello'))
  })
  const proxy = createProxy(origin.url)
  own({ close: () => proxy.close() })
  const { port } = await proxy.listen()
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
  await once(socket, 'message')
  socket.close()
  await until(() => outcomes.length === 1, 'the end of the tunnel')
  new WebSocket(`ws://127.0.0.1:${port}/no`).on('error', () => {})
  await until(() => outcomes.length === 2, 'the refusal')
  expect(outcomes).toEqual([101, 403])
})
