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
import { get } from '@sluice/headers'
import type { Selected, Target, Tried } from '@sluice/upstream'
import debug from 'debug'
import { backoff } from './backoff.js'
import { pause } from './pause.js'
import { retryAfter } from './retry-after.js'
import { type RetryOptions, type RetrySettings, resolveRetry } from './retry-options.js'
import { type NoRetry, whyNot } from './should-retry.js'

const log = debug('sluice:resilience')

/** What {@link retry} takes from outside: chance and the time of day, to be replaced in tests. */
export interface RetrySeams {
  /** Numbers in [0, 1). Default `Math.random`. */
  random?: () => number
  /** Ms since 1970, for dates in `Retry-After`. Default `Date.now`. */
  now?: () => number
}

/**
 * Tries again on another target what failed on one: a request that the target hasn't processed whatever its method, any
 * other only by a safe method. Only until the head of an answer is there; a body cut in the middle can't be mended. It
 * stands outside `balance`, which leaves out the targets tried before.
 * @throws TypeError for a wrong option
 */
export function retry(options: RetryOptions = {}, seams: RetrySeams = {}): Middleware {
  const settings = resolveRetry(options)
  const { random = Math.random, now = Date.now } = seams
  return (next) => (ctx) => {
    return attempts(next as (ctx: Context) => Reply | Promise<Reply>, ctx, settings, { random, now })
  }
}

async function attempts(
  next: (ctx: Context) => Reply | Promise<Reply>,
  first: Context,
  settings: RetrySettings,
  seams: Required<RetrySeams>,
): Promise<Reply> {
  const { budget, when } = settings
  budget?.requested()
  let ctx: Context & Tried = first
  for (let attempt = 1; ; attempt++) {
    let failure: ProxyError | number
    let reply: Reply | undefined
    try {
      reply = await next(ctx)
      if (reply.status < 400 || (when === undefined && settings.statuses.length === 0)) return reply
      failure = reply.status
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error
      failure = error
    }
    const { method, body } = first.out
    let said: boolean | undefined
    try {
      said = when?.(failure, ctx)
    } catch (error) {
      if (reply !== undefined) discard(reply)
      throw error
    }
    const asked = reply === undefined ? undefined : asksToWait(reply, seams.now)
    let no: NoRetry | undefined = whyNot(
      { failure, method, attempt, replayable: replayable(body), said },
      settings,
    )
    if (no === undefined && (asked ?? 0) > settings.backoff.max) no = 'asked-to-wait-longer'
    // What no target has seen costs none of them anything.
    if (no === undefined && !isUnseen(failure) && budget?.take() === false) no = 'budget-used'
    if (log.enabled) log('%s %s failed (%s): %s', method, first.out.path, code(failure), no ?? 'trying again')
    if (no !== undefined) {
      if (reply !== undefined) return reply
      throw failure as ProxyError
    }
    if (reply !== undefined) discard(reply)
    const wait = asked ?? backoff(attempt - 1, settings.backoff, seams.random())
    if (wait > 0) await pause(first, wait)
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

/** How long the answer of a target that is tried again asks to wait, in ms. */
function asksToWait({ headers }: Reply, now: () => number): number | undefined {
  const value = get(headers, 'retry-after')
  return value === undefined ? undefined : retryAfter(value, now())
}

/** The target has processed nothing. */
function isUnseen(failure: ProxyError | number): boolean {
  return typeof failure !== 'number' && failure.retryable
}

/** In memory, or a stream that nobody has taken a byte of. */
function replayable(body: BodyInit): boolean {
  if (body === null || typeof body === 'string' || body instanceof Uint8Array) return true
  return isBody(body) ? (body as Body & { taken?: boolean }).taken === false : body.readableDidRead === false
}

function code(failure: ProxyError | number): string | number {
  return typeof failure === 'number' ? failure : failure.code
}
