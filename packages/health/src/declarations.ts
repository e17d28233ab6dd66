import type { Target, Upstream } from '@sluice/upstream'
import type { Declaration } from './declaration.js'
import { isFit } from './is-fit.js'
import { type Timers, unheldTimers } from './timers.js'

/** By whom a target's word has come. */
export type DeclarationSource = 'answer' | 'probe'

interface Word {
  said: 'degraded' | 'draining'
  by: DeclarationSource
  /** How long it holds. */
  ms: number
  /** When it is over, by the upstream's clock. */
  until: number
  timer: unknown
  drained: boolean
  degraded: boolean
}

const ours = 'declared'
const all = new WeakMap<Upstream, Declarations>()

/** The one keeper of what the targets of an upstream say of themselves, by whichever way they say it. */
export function declarationsOf(upstream: Upstream, timers: Timers = unheldTimers): Declarations {
  let declarations = all.get(upstream)
  if (declarations === undefined) {
    declarations = new Declarations(upstream, timers)
    all.set(upstream, declarations)
  }
  return declarations
}

/**
 * What targets say of themselves, for as long as they say it. The last word counts.
 *
 * ok ──degraded──▶ degraded ──draining──▶ draining ──ok, or the time is over──▶ ok
 *
 * The last target that is fit isn't drained, whatever it says: it is degraded until there is another. What others have drained or
 * degraded stays so.
 */
export class Declarations {
  private readonly words = new Map<Target, Word>()

  constructor(
    private readonly upstream: Upstream,
    private readonly timers: Timers,
  ) {
    upstream.on('targets', (targets) => {
      for (const [target, { timer }] of [...this.words]) {
        if (targets.includes(target)) continue
        this.timers.clear(timer)
        this.words.delete(target)
      }
    })
    // Who is fit besides decides what becomes of one that drains.
    upstream.on('state', () => {
      for (const [target, word] of this.words) if (upstream.all.includes(target)) this.apply(target, word)
    })
  }

  /**
   * Takes a target's word.
   * @param ms how long it holds, unless it is said again; Infinity: until something else is said
   */
  say(target: Target, said: Declaration, by: DeclarationSource, ms: number): void {
    if (said === 'ok') {
      this.end(target, 'says that all is well')
      return
    }
    if (!this.upstream.all.includes(target)) return
    let word = this.words.get(target)
    if (word === undefined) {
      word = { said, by, ms, until: 0, timer: undefined, drained: false, degraded: false }
      this.words.set(target, word)
    }
    word.said = said
    word.by = by
    word.ms = ms
    word.until = this.upstream.now() + ms
    this.apply(target, word)
    // Renewed by each answer: the timer that runs looks when it is over, and waits for the rest.
    if (word.timer === undefined && ms !== Number.POSITIVE_INFINITY) this.wait(target, word)
  }

  /** The word that a probe has brought is taken back; one that has come with an answer stays. */
  silent(target: Target, by: DeclarationSource): void {
    if (this.words.get(target)?.by === by) this.end(target, 'says nothing of draining any more')
  }

  /** What has come this way counts no more, for all targets: whoever asked has stopped. */
  forget(by: DeclarationSource): void {
    for (const [target, word] of [...this.words]) if (word.by === by) this.end(target, 'is asked no more')
  }

  private apply(target: Target, word: Word): void {
    const { upstream } = this
    const drain = word.said === 'draining' && upstream.all.some((each) => each !== target && isFit(each))
    // Drained first, or undrained last: one change of state, with the reason of the word itself.
    if (drain) {
      if (!word.drained) upstream.drain(target.id, 'says that it is draining', ours)
      word.drained = true
      if (word.degraded) upstream.degrade(target, false, 'says that it is draining')
      word.degraded = false
      return
    }
    const reason =
      word.said === 'draining'
        ? 'says that it is draining, and no other target is fit'
        : 'says that it is degraded'
    if (!word.degraded && !target.degraded) {
      word.degraded = true
      upstream.degrade(target, true, reason)
    }
    if (word.drained) upstream.undrain(target.id, reason, ours)
    word.drained = false
  }

  private wait(target: Target, word: Word): void {
    const now = this.upstream.now()
    // A clock that has jumped back begins the time anew: it never holds longer than that.
    word.until = Math.min(word.until, now + word.ms)
    const left = word.until - now
    word.timer = this.timers.set(
      () => {
        word.timer = undefined
        if (this.words.get(target) !== word || word.until === Number.POSITIVE_INFINITY) return
        if (this.upstream.now() < word.until) this.wait(target, word)
        else this.end(target, 'has said nothing more of draining')
      },
      Math.max(Math.ceil(left), 1),
    )
  }

  private end(target: Target, reason: string): void {
    const word = this.words.get(target)
    if (word === undefined) return
    this.words.delete(target)
    this.timers.clear(word.timer)
    if (word.degraded) this.upstream.degrade(target, false, reason)
    if (word.drained) this.upstream.undrain(target.id, reason, ours)
  }
}
