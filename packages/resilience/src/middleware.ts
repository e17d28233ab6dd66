import {
  asProxyError,
  type Context,
  discard,
  type Middleware,
  type Outcome,
  ProxyError,
  type Reply,
} from '@sluice/core'
import { get } from '@sluice/headers'
import { hasLeftLine, type Selected, type Target, type Tried } from '@sluice/upstream'
import debug from 'debug'
import { backoffDelay } from './backoff.js'
import { isUntouched, keptBody } from './kept-body.js'
import { retryAfter } from './retry-after.js'
import { type RetryOptions, type RetrySettings, resolveRetry } from './retry-options.js'
import { type FailedTry, type NoRetry, whyNot } from './should-retry.js'
import { showAttempt } from './show-attempt.js'
import { triedSoFar } from './tried-so-far.js'
import { TryTime } from './try-time.js'
import { warnInside } from './warn-inside.js'

const log = debug('sluice:resilience')

/**
 * Tries again on another target what failed on one: a request that the target hasn't processed whatever its method, any
 * other only by a safe method. Only until the head of an answer is there; a body cut in the middle can't be mended. It
 * stands outside `balance`, which leaves out the targets tried before: inside of it no try would choose a target, and a warning says so. A function among the options that throws is 500, as a bug of
 * the app.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function retry(options: RetryOptions = {}, path = 'retry'): Middleware {
  const settings = resolveRetry(options, path)
  return (next) => (ctx) => {
    return attempts(next as Next, ctx, settings, path)
  }
}

type Attempt = Context & Tried & Partial<Selected>
type Next = (ctx: Context) => Reply | Promise<Reply>

async function attempts(next: Next, first: Context, settings: RetrySettings, path: string): Promise<Reply> {
  const { perTry, total, backoff, when, budget } = settings
  try {
    budget?.request()
  } catch (error) {
    throw asProxyError(error, `${path}.budget.request threw`)
  }
  const until = total === 0 ? 0 : performance.now() + total
  const limited = perTry !== 0 || total !== 0
  const kept = settings.attempts === 1 ? undefined : keptBody(first.out.body, settings.replay)
  // What is cancelled is a fork: the exchange itself goes on. Else its own context serves the first try, with a body too.
  let ctx: Attempt = limited ? first.fork() : first
  const { lease } = ctx
  for (let attempt = 1; ; attempt++) {
    let failure: ProxyError | number
    let reply: Reply | undefined
    // As of now: a `hedge` further in adds those that its tries were at.
    const { tried: before } = ctx
    ctx.movable = lease === undefined
    kept?.begin(ctx.out)
    try {
      reply = await (limited ? inTime(next, ctx, perTry, until) : next(ctx))
      if ((settings.statuses.length === 0 && when === undefined) || reply.status < 400) {
        kept?.done(first.out)
        return reply
      }
      failure = reply.status
    } catch (error) {
      if (!(error instanceof ProxyError)) {
        kept?.giveUp(first.out)
        throw error
      }
      failure = error
    } finally {
      if (ctx !== first) showAttempt(first, ctx)
    }
    // Nobody has seen it: to wait for another target is no further try, and there are never more of these than targets.
    const moved = hasLeftLine(failure) && before?.includes(ctx.target as Target) !== true
    if (moved) attempt--
    const { method } = first.out
    const can = kept === undefined ? isUntouched(first.out.body) : kept.isWhole(first.out)
    const failed: Writable<FailedTry> = { failure, method, attempt, replayable: can }
    let wait = 0
    let no: NoRetry | undefined
    let asked = 'backoff.random'
    try {
      if (backoff !== undefined && !moved) {
        failed.retryAfter = askedToWait(reply)
        wait = Math.max(backoffDelay(attempt, backoff), failed.retryAfter ?? 0)
      }
      if (until !== 0) failed.left = until - performance.now() - wait
      asked = 'when'
      if (!moved) failed.wanted = when?.(failed, first)
      asked = 'budget.take'
      no = whyNot(failed, settings)
    } catch (error) {
      // A bug of the app's. Nobody else would end the reply, whose lease would stay.
      if (reply !== undefined) discard(reply)
      kept?.giveUp(first.out)
      throw asProxyError(error, `${path}.${asked} threw`)
    }
    if (log.enabled) log('%s %s failed (%s): %s', method, first.out.path, code(failure), no ?? 'trying again')
    if (no !== undefined) {
      if (reply !== undefined) {
        kept?.done(first.out)
        return reply
      }
      kept?.giveUp(first.out)
      throw failure as ProxyError
    }
    if (reply !== undefined) discard(reply)
    if (wait > 0) {
      const left = await pause(wait, first)
      if (left !== undefined) {
        kept?.giveUp(first.out)
        throw left.error ?? new ProxyError('client_left')
      }
    }
    // What chooses a target takes a lease of its own.
    if (lease !== undefined && ctx.lease === lease) warnInside('retry', settings, path)
    const tried = triedSoFar(ctx)
    ctx = first.fork()
    ctx.tried = tried
    ctx.moved = moved
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** One try until its head is there. Past its time the try's fork closes, by which its transport hears of it. */
async function inTime(next: Next, ctx: Context, perTry: number, until: number): Promise<Reply> {
  let late: ProxyError | undefined
  let time: TryTime | undefined
  const expired = new Promise<never>((_resolve, reject) => {
    const left = until === 0 ? undefined : until - performance.now()
    time = new TryTime(perTry, left, ctx.out.body, (error) => {
      late = error
      ctx.cancel(error)
      reject(error)
    })
  })
  // A reply that comes in spite of it is nobody's.
  const answer = (async () => {
    const reply = await next(ctx)
    if (late !== undefined) discard(reply)
    return reply
  })()
  try {
    return await Promise.race([answer, expired])
  } finally {
    time?.stop()
  }
}

/** Waits; at once over, with its end, when the exchange ends. */
function pause(ms: number, ctx: Context): Promise<Outcome | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms)
    ctx.onClose((end) => {
      clearTimeout(timer)
      resolve(end)
    })
  })
}

function askedToWait(reply: Reply | undefined): number | undefined {
  const value = reply === undefined ? undefined : get(reply.headers, 'retry-after')
  return value === undefined ? undefined : retryAfter(value, Date.now())
}

function code(failure: ProxyError | number): string | number {
  return typeof failure === 'number' ? failure : failure.code
}
