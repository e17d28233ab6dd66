import type { After } from './after.js'
import type { OcspAnswer } from './ocsp-answer.js'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Time and chance, as a test may replace them. */
export interface OcspSeams {
  /** Milliseconds since 1970, as answers are dated. */
  readonly clock: () => number
  /** From 0 to below 1. */
  readonly random: () => number
  readonly after: After
}

/** An answer, and its bytes. */
export interface OcspAnswered extends OcspAnswer {
  readonly response: Buffer
}

/** What a staple is made with. */
export interface OcspStapleParts {
  /** Asks the responder once. Gives a text that says why where there is none to ask, ever. */
  readonly ask: (signal: AbortSignal) => Promise<OcspAnswered | string>
  /** For how long from its beginning a question is waited for, in ms. */
  readonly wait: number
  /** Hears of each failure, and of each answer that says something else than the one before, or is good after failures. */
  readonly told: (status: 'good' | 'revoked' | 'failed', reason: string) => void
  readonly seams: OcspSeams
}

/** A question that is under way. */
interface Question {
  readonly stop: AbortController
  readonly end: Promise<void>
  /** Its end, or that of the time for which it is waited for. */
  readonly wait: Promise<void>
}

/**
 * What is known of one certificate, and when its responder is asked again.
 *
 *   none ──good──▶ good ──its nextUpdate is over──▶ none
 *   none, good ──revoked──▶ revoked ──good──▶ good     a certificate that was on hold counts again
 *   any ──no answer, a wrong one, one older than the last one──▶ as it was
 *
 * staple      while good
 * next asked  after an answer: max(1 min, min(1 day, (nextUpdate - now) / 2) * (1 - random() / 10))
 *             after the nth failure in a row: min(1 h, 10 s * 2^(n-1)) * (1 - random() / 2)
 *             where there is no responder: never
 *
 * One question is under way at a time. A timer counts the time that passes, and whoever looks compares the clock: so a machine that slept asks at once,
 * and one whose clock was set back doesn't wait for longer.
 */
export class OcspStaple {
  /** Why there is nothing to staple, as far as that is known. */
  why = 'the responder has not answered yet'
  private last: OcspAnswered | undefined
  private failures = 0
  private due = Number.NEGATIVE_INFINITY
  private cancel = (): void => {}
  private question: Question | undefined
  private closed = false

  constructor(private readonly parts: OcspStapleParts) {}

  get revoked(): boolean {
    return this.last?.status === 'revoked'
  }

  /** The end of the question that is under way. */
  get settled(): Promise<void> | undefined {
    return this.question?.end
  }

  /** The same, but for no longer than that is waited for. */
  get waited(): Promise<void> | undefined {
    return this.question?.wait
  }

  /** What to staple now, if anything. Begins to ask the responder where that is due, and waits for nothing. */
  take(): Buffer | undefined {
    const now = this.parts.seams.clock()
    if (now >= this.due) this.begin()
    const { last } = this
    return last?.status === 'good' && now < last.nextUpdate ? last.response : undefined
  }

  /** Asks no more. */
  close(): void {
    this.closed = true
    this.cancel()
    this.question?.stop.abort()
  }

  private begin(): void {
    if (this.question !== undefined || this.closed) return
    this.cancel()
    const stop = new AbortController()
    const end = this.ask(stop.signal)
    const wait = new Promise<void>((resolve) => {
      const cancel = this.parts.seams.after(this.parts.wait, resolve)
      void end.then(() => {
        cancel()
        resolve()
      })
    })
    this.question = { stop, end, wait }
  }

  private async ask(signal: AbortSignal): Promise<void> {
    const { ask, seams } = this.parts
    let pause: number
    try {
      const answer = await ask(signal)
      pause = this.closed ? 0 : this.answered(answer)
    } catch (error) {
      pause = this.closed ? 0 : this.failed(error as Error)
    }
    this.question = undefined
    if (this.closed) return
    this.due = seams.clock() + pause
    if (pause < Number.POSITIVE_INFINITY) this.cancel = seams.after(pause, () => this.begin())
  }

  private answered(answer: OcspAnswered | string): number {
    if (typeof answer === 'string') {
      this.why = answer
      return Number.POSITIVE_INFINITY
    }
    const { last, failures } = this
    // Caches in between may still have the one from before, and that must not undo a revocation.
    if (last !== undefined && answer.thisUpdate < last.thisUpdate)
      throw new Error('the answer is older than the last one')
    this.last = answer
    this.failures = 0
    const { status, nextUpdate, revoked } = answer
    this.why = revoked === undefined ? 'the last answer counts no longer' : `revoked ${revoked}`
    const reason = revoked ?? `until ${new Date(nextUpdate).toISOString()}`
    if (status !== last?.status || (failures > 0 && status === 'good')) this.parts.told(status, reason)
    const { clock, random } = this.parts.seams
    return Math.max(minute, Math.min(day, (nextUpdate - clock()) / 2) * (1 - random() / 10))
  }

  private failed(error: Error): number {
    this.failures++
    if (!this.revoked) this.why = error.message
    this.parts.told('failed', error.message)
    return Math.min(hour, 10_000 * 2 ** (this.failures - 1)) * (1 - this.parts.seams.random() / 2)
  }
}
