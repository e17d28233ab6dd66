import { needFunction } from '@sluice/options'
import { type Body, type BodyInit, isBody } from './body.js'
import type { Handler, Layer } from './chain.js'
import { appError, appFault, fieldFault, outFault, replyFault } from './check-reply.js'
import type { Context, Outbound } from './context.js'
import { Exchange } from './exchange.js'
import { hasEnded } from './has-ended.js'
import { reread } from './ingress.js'
import { asOwnPage } from './own-page.js'
import { asProxyError, ProxyError } from './proxy-error.js'
import { PushBody } from './push-body.js'
import { discard, type Reply, unhandled } from './reply.js'
import { report } from './report.js'

/** What a hook may give: a reply, or nothing. */
export type HookResult = Reply | undefined | void | Promise<Reply | undefined | void>

/**
 * Calls `fn` with each request on its way in. It may edit `ctx.out`; a reply that it gives is the answer, and nothing further
 * in hears of the request. If it throws, the client gets 500, or the status of a `ProxyError`. If the client leaves while it
 * waits, nothing further in is called. Fields, a method or a path that HTTP forbids are a 500, and reported; so is a body that
 * it has read without putting another in its place.
 */
export function onRequest<C extends Context>(fn: (ctx: NoInfer<C>) => HookResult): Layer<C> {
  needFunction(fn, 'onRequest')
  return (next) => (ctx) => {
    const { body, method, path } = ctx.out
    let given: HookResult
    try {
      given = fn(ctx)
    } catch (thrown) {
      throw dropped(ctx, body, appError('onRequest', thrown))
    }
    if (isPromise(given)) return later(given, next, ctx, { body, method, path })
    return proceed(given, next, ctx, body, method, path)
  }
}

/** What a request was before a hook saw it. */
type Before = Pick<Outbound, 'body' | 'method' | 'path'>

async function later<C extends Context>(
  promise: PromiseLike<unknown>,
  next: Handler<C>,
  ctx: C,
  { body, method, path }: Before,
): Promise<Reply> {
  let given: unknown
  try {
    given = await promise
  } catch (thrown) {
    throw dropped(ctx, body, appError('onRequest', thrown))
  }
  if (hasEnded(ctx)) {
    drop(given)
    throw dropped(ctx, body, new ProxyError('client_left'))
  }
  return proceed(given, next, ctx, body, method, path)
}

function proceed<C extends Context>(
  given: unknown,
  next: Handler<C>,
  ctx: C,
  body: BodyInit,
  method: string,
  path: string,
): Reply | Promise<Reply> {
  const { out } = ctx
  if (given !== undefined) {
    const wrong = givenFault(given)
    if (wrong === undefined) {
      restore(out, body)
      return given as Reply
    }
    drop(given)
    throw dropped(ctx, body, appFault('onRequest', wrong))
  }
  const wrong = outFault(out, method, path)
  if (wrong !== undefined) throw dropped(ctx, body, appFault('onRequest', wrong))
  // Else the target would wait for bytes that somebody has had, and be blamed for it.
  if (out.body === body && body instanceof PushBody && body.taken)
    throw new ProxyError('body_consumed', { message: hasRead })
  reread(ctx)
  return next(ctx)
}

const hasRead =
  'onRequest has read the request body and put nothing in its place: set ctx.out.body to what is to go on'

/** The request goes no further: a body that the hook has put in place of the client's would stay open. */
function dropped(ctx: Context, body: BodyInit, error: ProxyError): ProxyError {
  restore(ctx.out, body)
  return error
}

function restore(out: Outbound, body: BodyInit): void {
  const put = out.body
  if (put === body) return
  out.body = body
  discard({ status: 0, headers: [], body: put })
}

/**
 * Calls `fn` with each reply on its way out, replies of a 101 included. It may edit status, headers and body in place, or
 * give another reply: the one that it had is then discarded, unless its body goes on in the new one or was taken. If it
 * throws, or leaves fields that HTTP forbids, the reply is discarded, and the client gets 500. It hears neither of errors,
 * which are thrown past it (`onError` hears those), nor of `unhandled`, which nobody has answered yet.
 */
export function onResponse<C extends Context>(fn: (reply: Reply, ctx: NoInfer<C>) => HookResult): Layer<C> {
  needFunction(fn, 'onResponse')
  return (next) => async (ctx) => {
    const reply = await next(ctx)
    // What is no reply the mount tells of, with the words for it.
    if (reply === unhandled || typeof reply !== 'object' || reply === null) return reply
    const { body, socket } = reply
    let given: unknown
    try {
      given = fn(reply, ctx)
      if (isPromise(given)) {
        const held = watch(reply, ctx)
        given = await given
        held.reply = undefined
        if (hasEnded(ctx)) throw new ProxyError('client_left')
      }
      const result = given === undefined ? reply : (given as Reply)
      const wrong = givenFault(result)
      if (wrong !== undefined) throw appFault('onResponse', wrong)
      if (result.body !== body && !isTaken(body)) discard({ status: 0, headers: [], body })
      if (result.socket !== socket) socket?.destroy()
      return result
    } catch (thrown) {
      // All that it had in hand: the reply as it came, what it has put there, and what it gave.
      discard({ status: 0, headers: [], body, ...(socket === undefined ? {} : { socket }) })
      discard(reply)
      drop(given)
      throw appError('onResponse', thrown)
    }
  }
}

/** A reply while a hook waits. */
interface Held {
  reply: Reply | undefined
}

/** Nobody else looks after the reply until the hook is through: the client may leave, and a socket may fail. */
function watch(reply: Reply, ctx: Context): Held {
  const held: Held = { reply }
  ctx.onClose(closed, held)
  // Nobody listens yet, and that must not end the process.
  reply.socket?.on('error', ignore)
  return held
}

function closed(_end: unknown, { reply }: Held): void {
  if (reply !== undefined) discard(reply)
}

function ignore(): void {}

/** Whether somebody has the bytes in hand, so that they aren't ours to cancel. */
function isTaken(body: BodyInit): boolean {
  if (typeof body !== 'object' || body === null || body instanceof Uint8Array) return true
  if (isBody(body)) return (body as Body & { taken?: boolean }).taken === true
  return body.readableFlowing !== null || body.readableDidRead
}

/**
 * Calls `fn` with each error that is thrown further in. A reply that it gives goes out in place of the error's page; without
 * one the error goes on. If it throws, that is the error. A reply with a status below 400 has mended the exchange, which then
 * ends well; any other is a page of the error, and the exchange ends with it. `error.headers`, such as `Cache-Status`, go with either.
 */
export function onError<C extends Context>(fn: (error: ProxyError, ctx: NoInfer<C>) => HookResult): Layer<C> {
  needFunction(fn, 'onError')
  return (next) => async (ctx) => {
    try {
      return await next(ctx)
    } catch (thrown) {
      const error = asProxyError(thrown)
      let given: unknown
      try {
        given = await fn(error, ctx)
      } catch (own) {
        report(error, ctx)
        throw own === error ? error : appError('onError', own)
      }
      if (given === undefined) throw error
      report(error, ctx)
      const wrong = givenFault(given)
      if (wrong !== undefined) {
        drop(given)
        throw appFault('onError', wrong)
      }
      let reply = given as Reply
      const { headers } = error
      // It may give one reply many times: its list isn't ours.
      if (headers !== undefined && reply !== unhandled)
        reply = { ...reply, headers: [...reply.headers, ...headers] }
      if (reply.status >= 400 && ctx instanceof Exchange) ctx.failed(error)
      return asOwnPage(reply)
    }
  }
}

/** What keeps a hook's result from being a reply that can be sent. */
function givenFault(given: unknown): string | undefined {
  return replyFault(given as Reply) ?? fieldFault((given as Reply).headers)
}

/** What a hook has given and nobody will send. */
function drop(given: unknown): void {
  discard(given as Reply)
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}
