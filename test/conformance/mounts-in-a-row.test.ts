import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { type Context, editUnhandled, type Handler, toConnect, toListener, unhandled } from '@sluice/core'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { listen } from '../kit/listen.js'
import { owner } from '../kit/owner.js'
import { rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

type Listener = (req: IncomingMessage, res: ServerResponse, next?: () => void) => void

const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

/** A mount that answers nobody, and tells of those whom it might. */
function waiting() {
  const begun: string[] = []
  const ended: string[] = []
  const handler: Handler = (ctx: Context) => {
    begun.push(ctx.out.path)
    ctx.onClose(({ kind }) => void ended.push(`${ctx.out.path} ${kind}`))
    return new Promise(() => {})
  }
  return { begun, ended, handler, listener: toListener(handler) as Listener }
}

const outers: [string, () => Listener][] = [
  ['has passed it on', () => toListener(() => unhandled) as Listener],
  ['stands around it', () => toConnect((ctx, rest) => rest.run(ctx)) as Listener],
]

describe.each(outers)('a mount behind one that %s', (_name, outer) => {
  it('hears that its client has left', async () => {
    const inner = waiting()
    const first = outer()
    const { port } = own(
      await listen(createServer((req, res) => first(req, res, () => inner.listener(req, res)))),
    )
    const client = own(await rawClient(port))
    client.write(ask('/a'))
    await until(() => inner.begun.length === 1, 'the request')
    client.socket.destroy()
    await until(() => inner.ended.length === 1, 'the end of the exchange')
    expect(inner.ended).toEqual(['/a client-left'])
  })

  it('hears nothing of a client that has left before', async () => {
    const inner = waiting()
    const first = outer()
    const left = deferred()
    const came = deferred()
    const { port } = own(
      await listen(
        createServer((req, res) =>
          first(req, res, () => {
            res.on('close', left.resolve)
            came.resolve()
            void left.promise.then(() => inner.listener(req, res))
          }),
        ),
      ),
    )
    const client = own(await rawClient(port))
    client.write(ask('/a'))
    await came.promise
    client.socket.destroy()
    await left.promise
    await turn()
    expect(inner.begun).toEqual([])
  })
})

describe('a mount that passes on between one around it and the app', () => {
  it('leaves it to the outer one to hear that the client has left', async () => {
    const outer = waiting()
    const closed = deferred()
    const around = toConnect((ctx, rest) => {
      void outer.handler(ctx)
      return rest.run(ctx)
    })
    const passing = toListener(() => unhandled) as Listener
    const { port } = own(
      await listen(
        createServer((req, res) =>
          around(req, res, () =>
            passing(req, res, () => {
              res.on('close', closed.resolve)
              res.write('first')
            }),
          ),
        ),
      ),
    )
    const client = own(await rawClient(port))
    client.write(ask('/a'))
    await until(() => client.received.includes('first'), 'the first part')
    client.socket.destroy()
    await closed.promise
    await until(() => outer.ended.length === 1, 'the end of the exchange')
  })
})

describe('an answer for whom nobody answers', () => {
  it('is a 500 where a layer fails at it', async () => {
    const handler = toListener((ctx) =>
      editUnhandled(ctx, () => {
        throw new Error('of the layer')
      }),
    ) as Listener
    const { port } = own(await listen(createServer((req, res) => handler(req, res))))
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(500)
  })
})

describe('a mount behind one that has passed it on', () => {
  it('hears that a client has left whose turn had not come', async () => {
    const inner = waiting()
    const first = toListener(() => unhandled) as Listener
    const { port } = own(
      await listen(createServer((req, res) => first(req, res, () => inner.listener(req, res)))),
    )
    const client = own(await rawClient(port))
    client.write(ask('/a') + ask('/b'))
    await until(() => inner.begun.length === 2, 'both requests')
    client.socket.destroy()
    await until(() => inner.ended.length === 2, 'the end of both')
    expect(inner.ended.toSorted()).toEqual(['/a client-left', '/b client-left'])
  })
})

describe('a mount behind an app that has answered', () => {
  it('leaves the rest of a long answer its time', async () => {
    const long = 'x'.repeat(20_000_000)
    const app = express()
      .use((_req, res, next) => {
        res.end(long)
        next()
      })
      .use(waiting().listener)
    const { port } = own(await listen(createServer(app)))
    const answer = await fetch(`http://127.0.0.1:${port}/`)
    expect((await answer.text()).length).toBe(long.length)
  })
})
