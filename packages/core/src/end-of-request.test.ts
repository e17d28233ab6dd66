import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { finished } from 'node:stream/promises'
import express from 'express'
import { expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { rawClient } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { type Handler, toListener } from './index.js'

trapUnhandled()
const own = owner()

async function listening(...listeners: RequestListener[]): Promise<number> {
  const server: Server = createServer()
  for (const listener of listeners) server.on('request', listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  own({ close: () => server.close().closeAllConnections() })
  return (server.address() as AddressInfo).port
}

/** A handler that notes its request, after it was shown it. */
function noting(requests: IncomingMessage[], look: (req: IncomingMessage) => unknown = () => {}): Handler {
  return async ({ req }) => {
    requests.push(req as IncomingMessage)
    await look(req as IncomingMessage)
    return { status: 200, headers: [], body: 'ok' }
  }
}

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** Asks `times` over one connection, and gives the statuses when all answers are out. */
async function asked(port: number, requests = get, times = 1): Promise<number[]> {
  const client = own(await rawClient(port))
  const statuses: number[] = []
  for (let i = 0; i < times; i++) {
    client.write(requests)
    statuses.push(...(await client.responses(i + 1)).slice(i).map(({ status }) => status))
  }
  return statuses
}

/** Who listens in each of two ways hears it, and in this order. */
function heard(req: IncomingMessage): string[] {
  const events: string[] = []
  req.on('end', () => events.push('end'))
  req.on('close', () => events.push('close'))
  return events
}

it('a request without a body ends without being read to its end, over and over on one connection', async () => {
  const requests: IncomingMessage[] = []
  const port = await listening(toListener(noting(requests)))
  expect(await asked(port, get, 3)).toEqual([200, 200, 200])
  expect(requests.map(({ complete, readableEnded }) => [complete, readableEnded])).toEqual([
    [true, false],
    [true, false],
    [true, false],
  ])
})

it.each(['end', 'close'])('who listens for nothing but %s hears it', async (event) => {
  let heard = 0
  const port = await listening(toListener(noting([], (req) => void req.on(event, () => heard++))))
  expect(await asked(port, get, 2)).toEqual([200, 200])
  await until(() => heard === 2, 'both to be heard')
})

it('who listens for the end of pipelined requests hears each', async () => {
  let heard = 0
  const port = await listening(toListener(noting([], (req) => void req.on('end', () => heard++))))
  const client = own(await rawClient(port))
  client.write(get)
  await client.responses(1)
  client.write(get + get)
  await client.responses(3)
  await until(() => heard === 3, 'all to be heard')
})

it('who listens inside the chain hears the end', async () => {
  const requests: IncomingMessage[] = []
  const events: string[][] = []
  const port = await listening(toListener(noting(requests, (req) => void events.push(heard(req)))))
  // Twice: what Node has that listens is learnt from the first.
  expect(await asked(port, get, 2)).toEqual([200, 200])
  await until(() => events.every((each) => each.length === 2), 'both to be heard')
  expect(events).toEqual([
    ['end', 'close'],
    ['end', 'close'],
  ])
})

it.each(['before', 'after'])('who listens beside the proxy, %s it, hears the end', async (where) => {
  const events: string[][] = []
  const beside: RequestListener = (req) => void events.push(heard(req))
  const proxy = toListener(noting([]))
  const port = await listening(...(where === 'before' ? [beside, proxy] : [proxy, beside]))
  expect(await asked(port, get, 2)).toEqual([200, 200])
  await until(() => events.every((each) => each.length === 2), 'both to be heard')
})

it.each<[string, (req: IncomingMessage) => unknown]>([
  [
    'reads it',
    async (req) => {
      for await (const chunk of req) throw new Error(String(chunk))
    },
  ],
  ['lets it flow', (req) => req.resume()],
  ['waits for it to be readable', (req) => new Promise((resolve) => req.once('readable', resolve))],
])('a layer that %s is not kept waiting', async (_name, look) => {
  const port = await listening(toListener(noting([], look)))
  expect(await within(asked(port, get, 2), 'both answers')).toEqual([200, 200])
})

it('a layer that waits for it to be over hears so when its answer is out', async () => {
  const overs: Promise<void>[] = []
  const port = await listening(
    toListener(noting([], (req) => void overs.push(finished(req, { writable: false })))),
  )
  expect(await asked(port, get, 2)).toEqual([200, 200])
  await within(Promise.all(overs), 'both to be over')
})

it('a client that leaves is told of', async () => {
  const [arrived, closed] = [deferred(), deferred()]
  const port = await listening(
    toListener(({ req }) => {
      req.once('close', () => closed.resolve())
      arrived.resolve()
      return new Promise(() => {})
    }),
  )
  const client = own(await rawClient(port))
  client.write(get)
  await arrived.promise
  client.reset()
  await within(closed.promise, 'the request to be closed')
})

it('behind a framework all is as ever: whoever follows may listen later', async () => {
  const requests: IncomingMessage[] = []
  const app = express()
  app.use(toListener(noting(requests)))
  const port = await listening(app)
  expect(await asked(port, get)).toEqual([200])
  await until(() => requests[0]?.readableEnded === true, 'the request to be read')
})

it('a body is read or left as ever', async () => {
  const requests: IncomingMessage[] = []
  const port = await listening(toListener(noting(requests)))
  const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody'
  expect(await asked(port, `${post}${get}`, 1)).toEqual([200])
  const refused = 'POST / HTTP/1.1\r\nHost: a b\r\nContent-Length: 4\r\n\r\nbody'
  expect(await asked(port, refused)).toEqual([400])
})
