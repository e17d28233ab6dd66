import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import express from 'express'
import { expect, it } from 'vitest'
import { deferred, owner } from '../../../test/kit/index.js'
import { toListener } from './index.js'

const own = owner()

it('a client that left while something before the proxy was at work gets no handler called, and nothing hangs', async () => {
  let called = 0
  const arrived = deferred()
  const over = deferred()
  const app = express()
  // A middleware that takes its time, as one that asks a database does.
  app.use((_req, res, next) => {
    arrived.resolve()
    res.on('close', () => {
      next()
      over.resolve()
    })
  })
  app.use(
    toListener(() => {
      called++
      return { status: 200, headers: [], body: null }
    }),
  )
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({ close: () => server.close() })
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await arrived.promise
  client.destroy()
  await over.promise
  expect(called).toBe(0)
})

it('a listener that is called after the answer has begun leaves it alone, and tells the app', async () => {
  const told: unknown[] = []
  const listener = toListener(() => ({ status: 200, headers: [], body: 'proxy' }))
  const server = createServer((req, res) => {
    res.write('the app')
    listener(req, res, (error) => told.push(error))
    listener(req, res)
    res.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({ close: () => server.closeAllConnections() })
  own(server)
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  expect(await response.text()).toBe('the app')
  expect(String(told)).toContain('after the response had begun')
})
