import type { IncomingMessage } from 'node:http'
import { needFunction } from '@sluice/options'
import type { Context } from './context.js'
import { call } from './from-listener.js'
import { type Before, before, InPlace, putFields } from './in-place.js'
import { type InboundRequest, type InboundResponse, type Next, serve } from './mount.js'
import { ProxyError } from './proxy-error.js'
import type { Reply } from './reply.js'
import type { Responder } from './responder.js'
import { StandIn } from './stand-in-response.js'

/** What follows in the app, as the end of a chain. */
export interface Rest {
  /**
   * Runs it for a context: with its fields, and with the app's own `req` and `res`. It runs once for a request.
   * @param after it begins then, with the response as it is now
   * @throws ProxyError proxy_internal_error with the reason 'second-run' if it has run before; what the app throws
   */
  run(ctx: Context, after?: Promise<void>): Promise<Reply>
}

/** How an app is held to its end. */
export interface RestOptions {
  /** How long what it answers may stand still once its client has left, in ms: then it counts as broken off. 0: for ever. Default 10000. */
  readonly abandoned?: number
}

/**
 * A handler as a middleware of Connect and Express that stands around what follows it in the app. What the app writes to `res`, which it has
 * closed over, becomes the reply of `rest.run`; what the handler gives goes to the client. `unhandled` is `next()`.
 *
 * Fields that were set on `res` before it stay there, and are part of no reply, but those that speak of the content and of caching. Middlewares
 * before it see what the client gets, those behind it what the app makes.
 *
 * With a context that is detached the app goes on when its client leaves: `close` is told to the app once nobody wants what it makes.
 */
export function toConnect(
  handler: (ctx: Context, rest: Rest) => Reply | Promise<Reply>,
  { abandoned = 10_000 }: RestOptions = {},
): (req: InboundRequest, res: InboundResponse, next: Next) => void {
  needFunction(handler, 'toConnect', 'a handler')
  return function connected(req, res, next) {
    const rest = new RestOfApp(req as IncomingMessage, res, next, abandoned)
    serve((ctx) => handler(ctx, rest.of(ctx)), req, res, next, rest)
  }
}

class RestOfApp implements Rest {
  readonly bodyIsApps = true
  #ctx: Context | undefined = undefined
  #responder: Responder | undefined = undefined
  #ran = false

  constructor(
    private readonly req: IncomingMessage,
    private readonly res: InboundResponse,
    private readonly next: Next,
    private readonly abandoned: number,
  ) {}

  readonly heard = (responder: Responder): void => {
    this.#responder = responder
  }

  of(ctx: Context): Rest {
    this.#ctx = ctx
    return this
  }

  async run(ctx: Context, after?: Promise<void>): Promise<Reply> {
    // Their `next` goes on from where it is.
    if (this.#ran)
      throw new ProxyError('proxy_internal_error', {
        reason: 'second-run',
        message: 'an app runs once for a request',
      })
    this.#ran = true
    const state = before(this.res)
    if (after === undefined) return this.#begin(ctx, state, true)
    await after
    return this.#begin(ctx, state, false)
  }

  /** @param foreground the client hasn't got its answer */
  #begin(ctx: Context, state: Before, foreground: boolean): Promise<Reply> {
    const { next, req, res } = this
    return new Promise((resolve, reject) => {
      let over: NodeJS.Timeout | undefined
      const standIn = new StandIn(
        ctx,
        (reply) => resolve({ ...reply, headers: place.fieldsOf(reply.headers) }),
        reject,
      )
      const place = new InPlace(res, standIn, state)
      const root = this.#ctx as Context
      if (this.#responder !== undefined) this.#responder.res = place.outer
      const watch = (silent = 0): void => {
        const seen = standIn.progress
        over = setTimeout(() => {
          if (standIn.progress !== seen) return watch()
          // To begin with an answer may take longer, and others don't wait so long for that.
          if (!standIn.answered && silent < 6) return watch(silent + 1)
          standIn.fail(new Error('the app answers no more, now that its client has left'))
        }, this.abandoned)
        over.unref()
      }
      standIn.res.once('close', () => clearTimeout(over))
      root.onClose(({ kind }) => {
        place.left()
        if (standIn.isOver) return
        // Frameworks do that where an error comes after the head.
        if (kind === 'client-left' && foreground && destroyedHere(req))
          return standIn.fail(new Error('the app has destroyed the connection'))
        place.detach()
        if (this.abandoned > 0) watch()
      })
      putFields(req, root.out.headers, ctx.out.headers)
      call(standIn, () => next())
    })
  }
}

/** The connection, or the stream, has been destroyed on this side: a client that leaves ends it, or resets it with a code. */
function destroyedHere(req: InboundRequest): boolean {
  if ('stream' in req) return req.stream.destroyed && req.stream.rstCode === 0
  const { socket } = req
  return socket.destroyed && !socket.readableEnded && socket.errored === null
}
