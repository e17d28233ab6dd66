import {
  type Body,
  type BodyInit,
  type Context,
  discard,
  type Handler,
  type Middleware,
  type Outbound,
  type Outcome,
  ReplayBody,
  type Reply,
  toBody,
} from '@sluice/core'
import type { Selected, Target } from '@sluice/upstream'
import debug from 'debug'
import { lengthOf } from './body-length.js'
import {
  type CompressRequestsOptions,
  type CompressRequestsSettings,
  resolveCompressRequests,
} from './compress-requests-options.js'
import { decodedFields, readWithoutDigests } from './decoded-fields.js'
import { encodeOnce, onceAtMost } from './encode-once.js'
import { encodeBody } from './encoded-body.js'
import { Levels } from './level.js'
import { acceptEncodingOf } from './negotiate.js'
import { poolPressure } from './pool-probe.js'
import type { Pressure } from './pressure.js'
import { Takers } from './takers.js'
import { whyNotRequest } from './worth-request.js'

const log = debug('sluice:compress')

/** What {@link compressRequests} takes from outside, to be replaced in tests. */
export interface CompressRequestsSeams {
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
  /** Default that on the thread pool of this process. */
  pressure?: Pressure
  /** What messages call the options. Default `compressRequests`. */
  path?: string
}

/**
 * Compresses the bodies of requests on their way to targets that take it: told by the user, or learnt from what they say in `Accept-Encoding`.
 * It stands inside of `balance`, next to `forward`: each try of a request, on whichever target, is coded anew or not at all.
 *
 * A target that answers 415 (or 411, since a coded body that flows has no length to be told) gets the same request again with the plain body, where
 * that is in memory or `replay` has kept all of it; if it takes that, it gets no coded ones for a while. The content was refused, so
 * nothing is done twice. A client can't know of this coding: without the plain body at hand it gets a 415 that it didn't ask for, once.
 *
 * Bodies in memory of up to 16 KB are coded at once; longer ones, and those that flow, as the target takes them, in chunks: HTTP/1.0 targets
 * can't read them. Trailers are kept. What told of the plain bytes (length, digests) is left out. Not coded is what `WhyNotRequest`
 * names.
 * @throws TypeError for a wrong option
 */
export function compressRequests(
  options: CompressRequestsOptions = {},
  seams: CompressRequestsSeams = {},
): Middleware<Selected> {
  const settings = resolveCompressRequests(options, seams.path)
  const coder = new RequestCoder(settings, seams)
  const middleware: Middleware<Selected> = (next) => (ctx) => coder.handle(next as Next, ctx)
  return middleware
}

type Attempt = Context & Selected
type Next = Handler<Attempt>

class RequestCoder {
  private readonly takers: Takers
  private readonly levels: Levels

  constructor(
    private readonly settings: CompressRequestsSettings,
    { clock, pressure = poolPressure }: CompressRequestsSeams,
  ) {
    const { coding, level, to } = settings
    this.takers = new Takers(coding, to === 'all', clock)
    this.levels = new Levels(level === 'auto' ? level : { [coding]: level }, pressure)
  }

  handle(next: Next, ctx: Attempt): Reply | Promise<Reply> {
    const { target } = ctx
    if (target === undefined)
      throw new TypeError('compressRequests() found no target: it stands inside of balance()')
    const level = this.levelFor(ctx)
    if (level !== undefined) return this.send(next, ctx, level)
    const reply = next(ctx)
    if (this.settings.to === 'all') return reply
    return reply instanceof Promise ? this.later(reply, target) : this.heard(reply, target)
  }

  private levelFor({ target, out, upgrade }: Attempt): number | undefined {
    if (out.body === null || !this.takers.takes(target)) return undefined
    const { coding } = this.settings
    const why = whyNotRequest(out, upgrade, this.settings)
    const level = why === undefined ? this.levels.of(coding, lengthOf(out.body)) : undefined
    if (level === undefined && log.enabled)
      log('%s %s stays as it is: %s', out.method, out.path, why ?? 'pressure')
    return level
  }

  /** The body coded, and once more as it is where that is refused. */
  private async send(next: Next, ctx: Attempt, level: number): Promise<Reply> {
    const { target, out } = ctx
    const replay = this.replayOf(out.body)
    const coded = forkOf(ctx)
    this.encode(coded.out, replay?.attempt() ?? out.body, level)
    const reply = await answer(next, coded, replay)
    this.heard(reply, target)
    const { status } = reply
    const lengthGone = lengthOf(out.body) !== undefined && lengthOf(coded.out.body) === undefined
    if (status !== 415 && !(status === 411 && lengthGone)) {
      replay?.done()
      return reply
    }
    const isAtHand = replay === undefined || replay.replayable
    if (log.enabled)
      log(
        '%s %s was refused coded: %d, %s',
        out.method,
        out.path,
        status,
        isAtHand ? 'sent plain' : 'its body is gone',
      )
    if (!isAtHand) {
      // Whether it was for the coding nobody knows: a plain one is never refused for it.
      this.takers.refused(target)
      replay?.done()
      return reply
    }
    discard(reply)
    const plain = forkOf(ctx)
    if (replay !== undefined) plain.out.body = replay.attempt()
    const second = await answer(next, plain, replay)
    replay?.done()
    // Refused alike it was for what it is, not for how it is coded (RFC 9110 section 15.5.16).
    if (second.status !== status) this.takers.refused(target)
    return this.heard(second, target)
  }

  private encode(out: Outbound, body: BodyInit, level: number): void {
    const { coding } = this.settings
    // What has told of the plain bytes goes, as it would of coded ones.
    out.headers = decodedFields(out.headers)
    out.headers.push('Content-Encoding', coding)
    const { trailers } = out
    if (trailers !== undefined) out.trailers = readWithoutDigests(trailers)
    const size = lengthOf(body)
    if (isInMemory(body) && (size as number) <= onceAtMost) {
      out.body = encodeOnce(typeof body === 'string' ? Buffer.from(body) : body, coding, { level })
    } else out.body = encodeBody(body, coding, { level, size, flush: 'pause' })
  }

  /** What keeps a flowing body as long as it fits. Of one that won't, nothing is kept, and it is whole until its first byte is taken. */
  private replayOf(body: BodyInit): ReplayBody | undefined {
    const { replay } = this.settings
    if (isInMemory(body)) return undefined
    return new ReplayBody(toBody(body) as Body, (lengthOf(body) ?? 0) > replay ? 0 : replay)
  }

  private async later(coming: Promise<Reply>, target: Target): Promise<Reply> {
    return this.heard(await coming, target)
  }

  private heard(reply: Reply, target: Target): Reply {
    this.takers.heard(target, acceptEncodingOf(reply.headers))
    return reply
  }
}

/** A try of its own, with fields and a body of its own, that is given up with the one that it is made of. */
function forkOf(ctx: Attempt): Attempt {
  const fork = ctx.fork()
  ctx.onClose(giveUp, fork)
  return fork
}

function giveUp({ kind, error }: Outcome, fork: Attempt): void {
  if (kind !== 'done') fork.cancel(error)
}

async function answer(next: Next, ctx: Attempt, replay: ReplayBody | undefined): Promise<Reply> {
  try {
    return await next(ctx)
  } catch (error) {
    replay?.giveUp()
    throw error
  }
}

function isInMemory(body: BodyInit): body is Uint8Array | string {
  return typeof body === 'string' || body instanceof Uint8Array
}
