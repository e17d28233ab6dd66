import { get, getAll, groupByName, has, set } from '@sluice/headers'
import { needFunction } from '@sluice/options'
import debug from 'debug'
import { toBody } from './bodies.js'
import type { Handler, Middleware } from './chain.js'
import type { Context } from './context.js'
import { HeldFlush, type Holding } from './flush-held.js'
import { call } from './from-listener.js'
import { reread } from './ingress.js'
import { mergeField } from './merge-field.js'
import { discard, type Reply, unhandled } from './reply.js'
import { StandIn } from './stand-in-response.js'
import { union } from './union.js'

const log = debug('sluice:core')

/** A middleware of Connect or Express. */
// biome-ignore lint/suspicious/noExplicitAny: middlewares are typed by each framework in its own way
export type ConnectMiddleware = (req: any, res: any, next: (error?: unknown) => void) => unknown

/**
 * A Connect or Express middleware as a layer. It gets `ctx.req` and a stand-in response. If it ends the response, that is the
 * reply. If it calls `next()`, the fields that it has set are merged into the reply from further in: the reply's own win,
 * cookies and `Vary` of both stay. If it has replaced `writeHead`, `write` or `end`, the reply passes through them; else its
 * body isn't touched, and `statusCode` and `finish` tell of it. `next(error)` becomes 500. A change that it makes to `req.url` goes nowhere: `ctx.out` is what goes out.
 *
 * Errors are thrown past it, to become an answer further out, which has none of its fields: where they belong on errors too
 * (helmet's, say, or those of CORS) put `errorPages({ pages: {} })` inside of it.
 */
export function fromConnect(middleware: ConnectMiddleware): Middleware {
  needFunction(middleware, 'fromConnect', 'a middleware')
  // By this Express and Connect tell those that are called with an error.
  if (middleware.length > 3)
    throw new TypeError(
      'fromConnect: got a function of four arguments, takes a middleware, (req, res, next): errors go to onError()',
    )
  return (next) => (ctx) =>
    new Promise<Reply>((resolve, reject) => {
      const standIn = new StandIn(ctx, resolve, reject)
      let called = false
      const onNext = (error?: unknown): void => {
        if (called || standIn.answered || standIn.isClosed) {
          if (log.enabled) log('next() was called again, or after the end: ignored')
          return
        }
        called = true
        if (error !== undefined && error !== null) {
          standIn.fail(error)
          return
        }
        goOn(next as Handler, ctx, standIn).then(
          (reply) => {
            if (reply === undefined) return
            // The client left meanwhile, and the layers outside have heard so.
            if (standIn.isClosed) discard(reply)
            else resolve(reply)
          },
          (cause: unknown) => standIn.fail(cause),
        )
      }
      call(standIn, () => middleware(ctx.req, standIn.res, onNext))
    })
}

/** The reply from further in, unless it passes through the stand-in, which then gives it. */
async function goOn(next: Handler, ctx: Context, standIn: StandIn): Promise<Reply | undefined> {
  reread(ctx)
  const reply = await next(ctx)
  if (reply === unhandled || reply.socket !== undefined) return reply
  if (standIn.isClosed) return reply
  if (!standIn.patched) return merged(reply, standIn)
  try {
    replay(reply, standIn)
  } catch (error) {
    discard(reply)
    throw error
  }
  return undefined
}

function merged(reply: Reply, standIn: StandIn): Reply {
  standIn.res.statusCode = reply.status
  const fields = standIn.headers
  if (fields.length === 0) return reply
  const headers = reply.headers.slice()
  const present = reply.headers
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const value = fields[i + 1] as string
    const lower = name.toLowerCase()
    if (lower === 'set-cookie' || !has(present, lower)) headers.push(name, value)
    else if (lower === 'vary') set(headers, name, union([...getAll(headers, lower), value]))
  }
  return { ...reply, headers }
}

/** Writes the reply to the stand-in by its public methods, as a handler behind the middleware would. */
function replay(reply: Reply, standIn: StandIn): void {
  const { res } = standIn
  res.statusCode = reply.status
  for (const [name, value] of groupByName(reply.headers)) mergeField(res, name, value)
  const body = toBody(reply.body)
  if (body === null) {
    res.end()
    return
  }
  res.once('close', () => {
    if (!res.writableEnded) body.cancel()
  })
  const held =
    body.length === undefined && get(reply.headers, 'content-length') === undefined && (res as Holding).flush
      ? new HeldFlush(res as Holding, (error) => standIn.fail(error))
      : undefined
  body.pipe({
    write: (chunk) => {
      const room = res.write(chunk)
      held?.wrote()
      return room
    },
    end: (trailers) => {
      // What is thrown here would be lost in the body's source, and the client would wait for an end.
      try {
        const fields = trailers ?? reply.trailers?.()
        if (fields !== undefined)
          res.addTrailers(Object.fromEntries(groupByName(fields)) as Record<string, string>)
        res.end()
      } catch (error) {
        standIn.fail(error)
      }
    },
    abort: (error) => void res.destroy(error),
    onDrain: (fn) => void res.on('drain', fn),
  })
}
