import { discard, onBodyEnd, ProxyError, type Reply } from '@sluice/core'
import { type HeaderList, has } from '@sluice/headers'
import type { CacheRequest, Fetcher, Leaving } from './cache-request.js'
import { bytesOf, completed, GrownWriter, grown } from './combine.js'
import type { Engine } from './engine.js'
import type { Fill } from './fill.js'
import type { Doomable } from './flights.js'
import { type Kept, keep, type Times } from './keep.js'
import { passesAsItIs } from './no-answers.js'
import { noFields, type Plan, rangeFields, restOf } from './plan.js'
import { life } from './policy/life.js'
import { noDirectives } from './policy/request-directives.js'
import { isFailure, mayServeOnError } from './policy/reuse.js'
import { matchesValidator, validators } from './policy/validation.js'
import type { Preparable } from './prepared.js'
import type { Entry, EntryHead, EntryWriter } from './store.js'
import { Waiters } from './waiters.js'
import { withheldFields } from './withheld-fields.js'

/** How a fetch has turned out for those who wait for it. */
export type Landing =
  /** An answer that may be stored, and is while it comes. It is theirs whose request has its key by what it varies on. */
  | { readonly kind: 'stored'; readonly kept: Kept; readonly fill: Fill; readonly stores: boolean }
  /** The stale entry is still the target's answer, with this head. With `why` for the one who has asked alone: that forbids to keep it. */
  | ({ readonly kind: 'validated'; readonly why: string | undefined } & Preparable)
  /** There was none, or one that says that the target has failed while something stale is there. */
  | { readonly kind: 'failed'; readonly error?: unknown }
  /** Another who shares the store has fetched it meanwhile. */
  | { readonly kind: 'elsewhere' }
  /** An answer for one client alone: `why` has the name. */
  | { readonly kind: 'unshared'; readonly why: string }

/** Whoever begins a fetch, and is told how it has turned out after all who wait for it. */
export interface Leader<R> {
  landed(flight: Flight, landing: Landing): R | Promise<R>
}

/**
 * One fetch on behalf of all who want the same, bound to no client.
 *
 * begun ──head of the answer──▶ landed (stored | validated | failed | unshared) ──end of its body, and the store's commit──▶ over
 *   └──doom()──▶ the same, but nothing of it is stored, and nobody new may join
 */
export class Flight implements Doomable {
  doomed = false
  landing: Landing | undefined = undefined
  /** The answer itself, for the one whose fetch it is, where it isn't in a fill. */
  reply: Reply | undefined = undefined
  /** Status of the answer, once there is one. */
  status: number | undefined = undefined
  next: Doomable | undefined = undefined
  previous: Doomable | undefined = undefined
  /** The fetch whose place it took, of the same and begun before, if that wasn't over. */
  before: Flight | undefined = undefined
  /** The answer had been in a cache before. */
  aged = false
  readonly startedAt: number
  #waiting: Waiters | undefined = undefined
  #lease: (() => void) | undefined = undefined
  /** Keys of variants whose whole is newer than what it brings. */
  #taken: Set<string> | undefined = undefined
  /** Bytes of the stored part that it holds, where they aren't the store's own. */
  #held = 0
  /** What it lands with is made of them. */
  #usesHeld = false

  constructor(
    /** What others find it by. */
    readonly key: string,
    /** Of that key, by the flights of the engine. */
    readonly hash: number,
    readonly plan: Plan,
    readonly engine: Engine,
  ) {
    this.startedAt = engine.now()
  }

  get url(): string {
    return this.plan.key.url
  }

  /** Nobody but who wants the same range waits for it. */
  get isOfPart(): boolean {
    return this.plan.range !== undefined
  }

  /** The head of what it brings, once there is one. */
  get head(): EntryHead | undefined {
    const { landing } = this
    return landing?.kind === 'stored' ? landing.kept.head : undefined
  }

  /**
   * Fields of the answer that are for the one who has asked alone.
   * @param head of what is stored
   */
  withheld(head: EntryHead): HeaderList | undefined {
    return this.reply && withheldFields(this.reply, head.headers, this.engine.settings)
  }

  /** Whether somebody who comes now may wait for it. */
  isJoinable(now: number): boolean {
    const { landing } = this
    if (this.doomed) return false
    if (landing !== undefined) return landing.kind === 'stored' && landing.fill.joinable
    const { lockAge } = this.engine.settings
    const age = now - this.startedAt
    // Below 0 the clock was set back, and nobody knows how old it is.
    return lockAge === 0 || (age >= 0 && age < lockAge)
  }

  doom(): void {
    this.doomed = true
    if (this.landing?.kind === 'stored') this.landing.fill.doom()
  }

  /** What is newer stands at this key, or is about to. Which variant it brings itself is known once it has landed. */
  overtaken(key: string): void {
    const { landing } = this
    if (landing === undefined) {
      this.#taken ??= new Set()
      this.#taken.add(key)
    } else if (landing.kind === 'stored' && landing.kept.key === key) this.doom()
  }

  /** How it turns out; `undefined` where that isn't known after `ms`, which is not 0, and `left` for one who leaves before. */
  wait<T>(ms: number, leaving: Leaving<T> | undefined, arg: T): Promise<Landing | 'left' | undefined> {
    if (this.landing !== undefined) return Promise.resolve(this.landing)
    this.#waiting ??= new Waiters()
    return this.#waiting.wait(ms, leaving, arg)
  }

  /**
   * Fetches, lands, and gives what `leader` makes of that. What it has stored flows once its fill is started.
   *
   * Most fetches wait for the target alone, and are what a miss costs: two callbacks take half of the memory of an async function.
   */
  fly<T, R>(request: CacheRequest, fetcher: Fetcher<T>, arg: T, leader: Leader<R>): Promise<R> {
    const { engine, plan } = this
    if (plan.have !== undefined || plan.stale !== undefined || (plan.lease && engine.store.leases))
      return this.#flyWithMore(request, fetcher, arg).then((landing) => leader.landed(this, landing))
    const mark = engine.store.mark()
    const more = rangeFields(plan, undefined)
    return this.#send(request, fetcher, arg, more).then(
      (reply) => {
        const waited = this.#waiting !== undefined
        const times = { requestTime: this.startedAt, responseTime: engine.now() }
        const landing = this.#arrived(reply, request, times, mark, more.length > 0)
        // A body that began to flow now could be over before they are there to read it.
        return waited ? later(leader, this, landing) : leader.landed(this, landing)
      },
      (error: unknown) => leader.landed(this, this.#land({ kind: 'failed', error })),
    )
  }

  /** With what it may take before and after: a lease, a part or validators of what is stored, and a second fetch where they don't do. */
  async #flyWithMore<T>(request: CacheRequest, fetcher: Fetcher<T>, arg: T): Promise<Landing> {
    const { engine, plan } = this
    let isOther = false
    try {
      if (plan.lease && engine.store.leases) {
        this.#lease = await engine.store.lease(this.key, engine.settings.lockWait)
        if (this.#lease === undefined) return this.#land({ kind: 'elsewhere' })
      }
      const mark = engine.store.mark()
      const { have, stale } = plan
      // Before anything is asked for: what can't be read needs no rest.
      const bytes = have === undefined ? undefined : await this.#bytesOf(have)
      const rest = bytes === undefined || plan.range !== undefined ? undefined : restOf((have as Entry).head)
      let more: Readonly<HeaderList> = stale === undefined ? rangeFields(plan, rest) : validators(stale)
      for (;;) {
        const requestTime = engine.now()
        const reply = await this.#send(request, fetcher, arg, more)
        const times = { requestTime, responseTime: engine.now() }
        const landing = this.#answered(reply, request, times, mark, more.length > 0, bytes)
        if (landing !== undefined) return landing
        more = noFields
        isOther = true
      }
    } catch (error) {
      // An app has said that it has another one now, and runs once for a request: each further fetch would end like this. A target may bring it yet.
      const isLast = isOther && error instanceof ProxyError && error.reason === 'second-run'
      if (isLast && !this.doomed) void engine.store.delete(plan.entryKey)
      return this.#land({ kind: 'failed', error })
    }
  }

  /** @param more fields of the fetch's own */
  #send<T>(request: CacheRequest, fetcher: Fetcher<T>, arg: T, more: Readonly<HeaderList>): Promise<Reply> {
    const headers = this.engine.fetchFields(request.headers, more)
    try {
      return Promise.resolve(fetcher({ method: 'GET', headers, shared: true, inform: this.plan.inform }, arg))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Lands with the answer to a fetch that nothing can come after. */
  #arrived(reply: Reply, request: CacheRequest, times: Times, mark: unknown, asked: boolean): Landing {
    try {
      return this.#answered(reply, request, times, mark, asked, undefined) as Landing
    } catch (error) {
      return this.#land({ kind: 'failed', error })
    }
  }

  /**
   * @param asked the fetch had conditions or a range of ours
   * @param bytes those of the stored part
   * @returns `undefined`: what came is of no use, and all has to be asked for
   */
  #answered(
    reply: Reply,
    request: CacheRequest,
    times: Times,
    mark: unknown,
    asked: boolean,
    bytes: Uint8Array | undefined,
  ): Landing | undefined {
    const { have, range, stale } = this.plan
    try {
      this.status = reply.status
      this.aged = has(reply.headers, 'age')
      if (!asked) return this.#came(reply, request, times, mark)
      if (stale !== undefined && reply.status === 304) {
        discard(reply)
        // RFC 9111 section 4.3.4: if it speaks of another response than ours, the answer has to come whole.
        return matchesValidator(stale, reply) ? this.#validated(stale, reply, times, request) : undefined
      }
      if (bytes === undefined) return this.#came(reply, request, times, mark)
      if (range !== undefined) return this.#came(reply, request, times, mark, bytes)
      if (reply.status !== 206 && reply.status !== 416) return this.#came(reply, request, times, mark)
      const whole = completed((have as Entry).head, bytes, reply)
      this.#usesHeld = whole !== undefined
      if (whole !== undefined) return this.#came(whole, request, times, mark)
      discard(reply)
      return undefined
    } catch (error) {
      discard(reply)
      throw error
    }
  }

  /** @param bytes those of the stored part, which may grow by the answer */
  #came(reply: Reply, request: CacheRequest, times: Times, mark: unknown, bytes?: Uint8Array): Landing {
    const { engine, plan } = this
    const { settings } = engine
    if (passesAsItIs(reply)) return this.#unshared(reply, 'unhandled')
    const kept = keep(settings, request, reply, plan.key, times, plan.vary)
    if (reply.status >= 500 && this.#mayServeStale(reply.status, kept)) {
      this.reply = reply
      return this.#land({ kind: 'failed' })
    }
    if (typeof kept === 'string') {
      // What is stored has been replaced by this one (RFC 9111 section 4.3.3), unless that was for this client alone.
      const replaced = plan.stale !== undefined && reply.status < 500 && kept !== 'authorization'
      if (replaced && !this.doomed) void engine.store.delete(plan.entryKey)
      return this.#unshared(reply, kept)
    }
    const { head } = kept
    this.reply = reply
    const isOld = this.doomed || this.#taken?.has(kept.key) === true
    const writer = isOld ? undefined : this.#writer(kept, reply, mark, bytes)
    const fill = engine.fill(reply, writer, head)
    fill.onEnd(ended, this)
    this.engine.hitForMiss.forget(this.key)
    return this.#land({ kind: 'stored', kept, fill, stores: writer !== undefined && fill.joinable })
  }

  /** Whether what is stored may be better than an answer of a target that has failed: always, if that isn't to be stored itself. */
  #mayServeStale(status: number, kept: Kept | string): boolean {
    const { engine, plan } = this
    const old = plan.stale ?? plan.have?.head
    if (old === undefined) return false
    // Nobody waits for it: what is there goes on as long as it may.
    if (!plan.inform) return true
    if (!isFailure(status)) return false
    if (typeof kept === 'string') return true
    // One that has to be asked for again at once spares the target nothing, and isn't worth what is there.
    const came = kept.life
    if (came.revalidate === 'always' || came.bornAt + came.freshFor <= engine.now()) return true
    return mayServeOnError(life(old, engine.settings), noDirectives, engine.now())
  }

  #writer(
    { key, head }: Kept,
    reply: Reply,
    mark: unknown,
    bytes: Uint8Array | undefined,
  ): EntryWriter | undefined {
    const { settings, store } = this.engine
    const { have } = this.plan
    const both = bytes && grown((have as Entry).head, bytes, reply, head.headers, settings)
    if (both === undefined) return store.put(key, head, mark)
    this.#usesHeld = true
    const { after, before, headers, part, status, tags } = both
    const length = part.last - part.first + 1
    const { part: _, ...rest } = head
    const whole = { ...rest, status, headers, tags, length }
    const to = store.put(key, status === 200 ? whole : { ...whole, part }, mark)
    return to && new GrownWriter(to, before, after)
  }

  #unshared(reply: Reply, why: string): Landing {
    this.reply = reply
    this.engine.hitForMiss.note(this.key, why, this.engine.now())
    return this.#land({ kind: 'unshared', why })
  }

  #validated(stale: EntryHead, reply: Reply, times: Times, request: CacheRequest): Landing {
    const { engine, plan } = this
    const head = engine.validated(stale, reply, times)
    // What it says is this client's then: what is stored stays as it is.
    const isForOthers = engine.isForOthers(request, head)
    const why = isForOthers ? engine.unkeepable(head, plan.vary) : 'authorization'
    if (why !== undefined) engine.hitForMiss.note(this.key, why, engine.now())
    // What was confirmed before a purge was that of before.
    if (isForOthers && !this.doomed) void engine.renew(plan.entryKey, head, plan.vary)
    this.reply = reply
    return this.#land({ kind: 'validated', head, prepared: undefined, why })
  }

  /** Those of the stored part, if there is room for them: else what is wanted is asked for as if it weren't there. */
  async #bytesOf(have: Entry): Promise<Uint8Array | undefined> {
    if (have.bytes === undefined) {
      if (!this.engine.budget.take(have.size)) return undefined
      this.#held = have.size
    }
    return bytesOf(have)
  }

  #letGoHeld(): void {
    this.engine.budget.giveBack(this.#held)
    this.#held = 0
  }

  #land(landing: Landing): Landing {
    this.landing = landing
    if (!this.#usesHeld) this.#letGoHeld()
    else if (landing.kind !== 'stored' && this.reply !== undefined)
      onBodyEnd(this.reply, () => this.#letGoHeld(), undefined)
    if (landing.kind !== 'stored') this.#leave()
    this.#overtake(landing.kind === 'stored' || landing.kind === 'validated')
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.tell(landing)
    return landing
  }

  /** What was asked for before is older: it may come later, and must not take the place of this one then. */
  #overtake(isNewer: boolean): void {
    let { before } = this
    this.before = undefined
    const { engine, landing, plan } = this
    if (!this.isOfPart) {
      if (landing?.kind === 'validated') engine.flights.overtakeParts(this, plan.entryKey)
      else if (landing?.kind === 'stored' && landing.stores)
        engine.flights.overtakeParts(this, landing.kept.key)
    }
    while (isNewer && before !== undefined) {
      before.doom()
      const next: Flight | undefined = before.before
      before.before = undefined
      before = next
    }
  }

  /** The body has ended, and what is stored of it can be found. */
  over(stored: boolean): void {
    const { engine, landing, plan } = this
    this.#letGoHeld()
    // It was larger than could be known: who comes next shall not have to keep pace with others.
    if (landing?.kind === 'stored' && landing.fill.received > engine.settings.maxEntry)
      engine.hitForMiss.note(this.key, 'too-large', engine.now())
    if (!stored || landing?.kind !== 'stored') return this.#leave()
    const noted = engine.markers.note(plan.key, landing.kept)
    engine.handOver(landing.fill, landing.kept)
    if (noted === undefined) return this.#leave()
    engine.store.settles(plan.key.primary, noted)
    void noted.then(() => this.#leave())
  }

  #leave(): void {
    this.engine.flights.remove(this)
    this.#lease?.()
    this.#lease = undefined
  }
}

async function later<R>(leader: Leader<R>, flight: Flight, landing: Landing): Promise<R> {
  await undefined
  return leader.landed(flight, landing)
}

function ended(_: Error | undefined, stored: boolean, flight: Flight): void {
  flight.over(stored)
}
