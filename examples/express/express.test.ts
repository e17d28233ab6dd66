import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { echo, originServer } from '../../test/kit/origin-server.js'
import { owner } from '../../test/kit/owner.js'
import { createApp } from './main.js'

const own = owner()

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('serves ordinary routes and the proxied path side by side', async () => {
  const origin = own(await originServer((req, res) => void res.end(`origin ${req.url}`)))
  const url = await listening(createApp(origin.url))
  expect(await (await fetch(`${url}/`)).text()).toContain('ordinary route')
  expect(await (await fetch(`${url}/api/users?x=1`)).text()).toBe('origin /users?x=1')
  const seen = await origin.request()
  expect(seen.rawHeaders).toContain('X-Forwarded-Prefix')
})

it('sends on a body that express.json() has read, byte for byte', async () => {
  const origin = own(await originServer(echo))
  const url = await listening(createApp(origin.url))
  const body = '{ "spaced" :  [1,2] }'
  const headers = { 'content-type': 'application/json' }
  const local = await fetch(`${url}/local`, { method: 'POST', body, headers })
  expect(await local.json()).toEqual({ parsed: { spaced: [1, 2] } })
  const proxied = await fetch(`${url}/api/echo`, { method: 'POST', body, headers })
  expect(await proxied.text()).toBe(body)
})

it('carries WebSockets under the same path', async () => {
  const origin = own(await originServer())
  const sockets = new WebSocketServer({ server: origin.server })
  sockets.on('connection', (socket, req) => {
    socket.on('message', (message) => socket.send(`${req.url} ${String(message)}`))
  })
  const url = await listening(createApp(origin.url))
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/live`)
  await once(socket, 'open')
  socket.send('hello')
  const [message] = (await once(socket, 'message')) as [Buffer]
  expect(String(message)).toBe('/live hello')
  socket.close()
  await once(socket, 'close')
  const query = new WebSocket(`${url.replace('http', 'ws')}/api?token=1`)
  await once(query, 'open')
  query.send('hello')
  const [other] = (await once(query, 'message')) as [Buffer]
  expect(String(other)).toBe('/?token=1 hello')
  query.close()
  await once(query, 'close')
})
