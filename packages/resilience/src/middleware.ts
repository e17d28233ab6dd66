import {
  type Body,
  type BodyInit,
  type Context,
  discard,
  isBody,
  type Middleware,
  ProxyError,
  type Reply,
} from '@sluice/core'
import type { Selected, Target, Tried } from '@sluice/upstream'
import debug from 'debug'
import { type RetryOptions, type RetrySettings, resolveRetry } from './retry-options.js'
import { whyNot } from './should-retry.js'

const log = debug('sluice:resilience')

/**
 * Tries again on another target what failed on one: a request that the target hasn't processed whatever its method, any
 * other only by a safe method. Only until the head of an answer is there; a body cut in the middle can't be mended. It
 * stands outside `balance`, which leaves out the targets tried before.
 * @throws TypeError for a wrong option
 */
export function retry(options: RetryOptions = {}): Middleware {
  const settings = resolveRetry(options)
  return (next) => (ctx) => {
    return attempts(next as (ctx: Context) => Reply | Promise<Reply>, ctx, settings)
  }
}

async function attempts(
  next: (ctx: Context) => Reply | Promise<Reply>,
  first: Context,
  settings: RetrySettings,
): Promise<Reply> {
  let ctx: Context & Tried = first
  for (let attempt = 1; ; attempt++) {
    let failure: ProxyError | number
    let reply: Reply | undefined
    try {
      reply = await next(ctx)
      if (settings.statuses.length === 0 || reply.status < 400) return reply
      failure = reply.status
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error
      failure = error
    }
    const { method, body } = first.out
    const no = whyNot({ failure, method, attempt, replayable: replayable(body) }, settings)
    if (log.enabled) log('%s %s failed (%s): %s', method, first.out.path, code(failure), no ?? 'trying again')
    if (no !== undefined) {
      if (reply !== undefined) return reply
      throw failure as ProxyError
    }
    if (reply !== undefined) discard(reply)
    const tried = triedSoFar(ctx)
    ctx = first.fork()
    ctx.tried = tried
  }
}

/** Targets that this exchange was sent to: `balance` leaves its pick in the context. */
function triedSoFar(ctx: Context & Tried & Partial<Selected>): readonly Target[] {
  const { tried = [], target } = ctx
  return target === undefined || tried.includes(target) ? tried : [...tried, target]
}

/** In memory, or a stream that nobody has taken a byte of. */
function replayable(body: BodyInit): boolean {
  if (body === null || typeof body === 'string' || body instanceof Uint8Array) return true
  return isBody(body) ? (body as Body & { taken?: boolean }).taken === false : body.readableDidRead === false
}

function code(failure: ProxyError | number): string | number {
  return typeof failure === 'number' ? failure : failure.code
}
