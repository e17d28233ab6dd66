import { discard, ProxyError, type Reply } from '@sluice/core'
import type { Forwarded } from '@sluice/headers'
import { answer } from './answer.js'
import { Asked } from './asked.js'
import type { CacheFetch, CacheRequest, ErrorMaker, Fetcher, Leaving } from './cache-request.js'
import type { Decision } from './decision.js'
import type { Engine } from './engine.js'
import { fillEntry } from './fill-entry.js'
import { addWithheld, firstReply, wantsAll } from './first-reply.js'
import { Flight, type Landing, type Leader } from './flight.js'
import { letGo } from './guarded-store.js'
import { headRequest } from './head-request.js'
import { isDisconnected } from './is-disconnected.js'
import { isOwnError } from './is-own-error.js'
import type { CacheKey } from './key.js'
import { mayShare } from './may-share.js'
import { otherMethod } from './other-method.js'
import { ownReply } from './own-reply.js'
import { parseRequestDirectives, type RequestDirectives } from './policy/request-directives.js'
import { isFailure, mayServeOnError, reuse } from './policy/reuse.js'
import { type Prepared, ttlOf } from './prepared.js'
import { withRest } from './resumed-body.js'
import { revalidate } from './revalidate.js'
import type { Entry } from './store.js'
import { variantKey } from './variant-key.js'

/** A purge, say, takes from many what they have waited for: they may wait for another, and so often. */
const looksAtMost = 3

/**
 * One request at the cache.
 *
 * looked up ─┬─ fresh ─────────────▶ served
 *            ├─ stale, may be used ─▶ served, and fetched again behind it
 *            ├─ stale ─────────────▶ waits for a fetch that validates it: its own, or the one on its way
 *            ├─ not there ─────────▶ waits for a fetch: its own, or the one on its way
 *            └─ not the cache's ────▶ passed on, alone
 */
export class Visit<T> implements Leader<Reply> {
  private now: number
  key: CacheKey = undefined as never
  private asked: Asked = undefined as never
  private ask: RequestDirectives = undefined as never
  /** Names of request fields that responses at the primary key are known to vary on. */
  vary: readonly string[] | undefined = undefined
  entryKey = ''
  private forwarded: Forwarded = 'uri-miss'
  /** What was found, and can't be served as it is. */
  private entry: Entry | undefined = undefined
  /** How often it has looked again, for what another has fetched. */
  private looks = 0

  constructor(
    private readonly engine: Engine,
    private readonly request: CacheRequest,
    private readonly fetcher: Fetcher<T>,
    private readonly arg: T,
    private readonly errorMaker?: ErrorMaker,
    private readonly leaving?: Leaving<T>,
  ) {
    this.now = engine.now()
  }

  start(): Reply | Promise<Reply> {
    const { engine, request } = this
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.#otherMethod()
    // A target that reads the content of a GET may answer by it, and the key doesn't tell it apart (RFC 9110 section 9.3.1).
    if (request.body !== undefined && request.body !== null) return this.#pass('bypass', 'request-content')
    const key = engine.keyFor(request, this.errorMaker)
    if (key.refused !== undefined) return this.#pass('bypass', key.refused)
    this.key = key
    this.asked = new Asked(request.headers)
    this.ask = parseRequestDirectives(this.asked.cacheControl, this.asked.pragma)
    return this.#look(key.primary)
  }

  #look(entryKey: string): Reply | Promise<Reply> {
    this.entryKey = entryKey
    const entry = this.engine.store.get(entryKey)
    if (!(entry instanceof Promise)) return this.#found(entry)
    return entry.then((found) => {
      // Looking up has taken time, by which it is older.
      this.now = this.engine.now()
      return this.#found(found)
    })
  }

  #found(entry: Entry | undefined): Reply | Promise<Reply> {
    if (entry !== undefined && this.engine.isSound(entry, this.key.primary)) {
      const { vary } = entry.head
      if (vary === undefined) return this.#judge(entry)
      // A marker behind a marker is nothing that was stored by us.
      if (this.vary === undefined) {
        letGo(entry)
        this.vary = vary
        return this.#look(variantKey(this.key.primary, vary, this.request.headers, this.request.caller))
      }
    }
    letGo(entry)
    return this.#fetch(this.vary === undefined ? 'uri-miss' : 'vary-miss')
  }

  #judge(entry: Entry): Reply | Promise<Reply> {
    const { engine, now } = this
    const prepared = engine.prepareEntry(entry)
    const { use, why } = reuse(prepared.life, this.ask, now)
    if (use === 'validate' || prepared.isOfLater(now)) {
      this.entry = entry
      return this.#fetch(why === 'request' ? 'request' : 'stale')
    }
    const reply = this.#answer(entry, prepared)
    if (reply === undefined || reply.status === 412) {
      this.entry = entry
      // RFC 9111 section 4.3.2: what a client wants to be so at the origin only the origin can deny.
      return this.#fetch(reply === undefined ? 'partial' : 'request')
    }
    letGo(entry)
    const { arg, fetcher, request } = this
    if (use === 'stale-while-revalidate') revalidate(engine, this, entry.head, request, fetcher, arg)
    return engine.hit(reply, prepared, now, use === 'fresh' ? undefined : use, request)
  }

  /** `undefined`: the bytes that are wanted aren't there, or the store can't give them. */
  #answer(entry: Entry, prepared: Prepared): Reply | undefined {
    try {
      const reply = answer(this.request, this.asked, entry, prepared, this.now)
      return withRest(reply, entry, this.engine, this.request, this.fetcher, this.arg)
    } catch (error) {
      return this.engine.store.failed('body', error)
    }
  }

  /** Nothing can be served as it is. */
  #fetch(forwarded: Forwarded): Reply | Promise<Reply> {
    const { ask, asked, engine, entry, entryKey, now, request } = this
    this.forwarded = forwarded
    if (ask.onlyIfCached) {
      this.#release()
      const none: Reply = { status: 504, headers: ['Content-Length', '0'], body: null }
      return engine.forwarded(none, { hit: false, detail: 'only-if-cached' }, request)
    }
    if (ask.noStore) return this.#pass(forwarded, 'request-no-store')
    const isHead = request.method === 'HEAD'
    const partial =
      !isHead && asked.range !== undefined && (entry === undefined || entry.head.part !== undefined)
    const key = partial ? `${entryKey}\nrange ${asked.range} ${asked.ifRange ?? ''}` : entryKey
    if (entry === undefined && !isHead) {
      const why = engine.hitForMiss.why(key, now)
      if (why !== undefined) return this.#passKnown(key, why)
    }
    const hash = engine.flights.hash(key)
    const shares = this.looks < looksAtMost && mayShare(engine, ask, entry)
    if (shares) {
      // Of all of it on its way there are also the head and each range.
      const flight = (partial ? engine.flights.find(entryKey) : undefined) ?? engine.flights.find(key, hash)
      if (flight?.isJoinable(now) === true) return this.#join(flight)
    }
    if (this.looks < looksAtMost) {
      const settling = engine.store.settling(this.key.primary)
      if (settling !== undefined) return settling.then(() => this.#lookAgain())
    }
    return isHead ? this.#head() : this.#lead(key, hash, partial, shares)
  }

  #lead(key: string, hash: number, partial: boolean, shares: boolean): Promise<Reply> {
    const { asked, engine, entry, entryKey, vary } = this
    const isPart = entry?.head.part !== undefined
    const plan = {
      key: this.key,
      entryKey,
      vary,
      stale: isPart ? undefined : entry?.head,
      have: isPart ? entry : undefined,
      range: partial ? asked.range : undefined,
      ifRange: partial ? asked.ifRange : undefined,
      inform: true,
      lease: shares && this.looks === 0,
    }
    const flight = new Flight(key, hash, plan, engine)
    engine.flights.add(flight)
    return flight.fly(this.request, this.fetcher, this.arg, this)
  }

  /** Its own fetch has come to an end. */
  landed(flight: Flight, landing: Landing): Reply | Promise<Reply> {
    return this.#landed(flight, landing, true)
  }

  async #join(flight: Flight): Promise<Reply> {
    const landing = await flight.wait(this.engine.settings.lockWait, this.leaving, this.arg)
    if (landing === undefined) return this.#pass(this.forwarded, 'lock-wait')
    // Not as a fetch that failed by it, after which it would look again: nobody is to be asked in its place.
    if (landing === 'left') return this.#throw(new ProxyError('client_left'), { forwarded: this.forwarded })
    return this.#landed(flight, landing, false)
  }

  /** @param own the fetch was made for this request */
  #landed(flight: Flight, landing: Landing, own: boolean): Reply | Promise<Reply> {
    this.now = this.engine.now()
    switch (landing.kind) {
      case 'stored':
        return this.#stored(flight, landing, own)
      case 'validated':
        return this.#validated(flight, landing, own)
      case 'failed':
        if (!own && isOwnError(landing.error)) return this.#lookAgain()
        return this.#failed(flight.status, landing.error, own, flight.reply)
      case 'unshared':
        if (own) return this.#own(flight.reply as Reply, landing.why)
        return this.#pass(this.forwarded, landing.why)
      case 'elsewhere':
        return this.#lookAgain()
    }
  }

  #stored(flight: Flight, landing: Landing & { kind: 'stored' }, own: boolean): Reply | Promise<Reply> {
    const { engine, now } = this
    const { fill, kept } = landing
    const { head, key, vary } = kept
    // What was there has had its use.
    this.#release()
    try {
      if (own && wantsAll(this.asked, kept)) {
        const reply = firstReply(flight.reply as Reply, kept, fill, now)
        return this.#brought(reply, flight, ttlOf(kept.life, now), true, landing.stores)
      }
      const prepared = engine.prepare(kept)
      if (!own) {
        if (vary.length > 0) {
          const mine = variantKey(this.key.primary, vary, this.request.headers, this.request.caller)
          if (mine !== key) {
            this.vary = vary
            this.looks++
            return this.#look(mine)
          }
        }
        // RFC 9111 section 4: what may be used for them without asking is what may be used from the store.
        if (!fill.joinable) return this.#lookAgain()
        if (reuse(prepared.life, this.ask, now).use !== 'fresh') {
          const settling = engine.store.settling(this.key.primary)
          return settling?.then(() => this.#lookAgain()) ?? this.#pass(this.forwarded, 'unshared')
        }
      }
      const source = fillEntry(fill, head)
      const reply = answer(this.request, this.asked, source, prepared, now)
      if (reply === undefined) return this.#pass(this.forwarded, 'partial')
      if (own) addWithheld(reply, flight, head)
      return this.#brought(reply, flight, prepared.ttl(now), own, landing.stores)
    } finally {
      if (own) fill.start()
    }
  }

  #validated(flight: Flight, landing: Landing & { kind: 'validated' }, own: boolean): Reply | Promise<Reply> {
    const { engine, entry, now } = this
    const { head, why } = landing
    if (entry === undefined || entry.head.id !== head.id) return this.#lookAgain()
    const prepared = engine.prepare(landing)
    // Those who waited may have it if it needn't be asked for each time.
    if (!own && (why !== undefined || reuse(prepared.life, this.ask, now).use !== 'fresh'))
      return this.#pass(this.forwarded, why ?? 'unshared')
    const reply = this.#answer(entry, prepared)
    if (reply === undefined) return this.#pass(this.forwarded, 'store')
    this.#release()
    if (own) addWithheld(reply, flight, head)
    return this.#brought(reply, flight, prepared.ttl(now), own, why === undefined && !flight.doomed)
  }

  /** What a fetch has brought, or confirmed. */
  #brought(reply: Reply, flight: Flight, ttl: number, own: boolean, stored: boolean): Reply {
    const decision = {
      hit: false,
      forwarded: this.forwarded,
      forwardedStatus: flight.status,
      stored: own && stored ? true : undefined,
      collapsed: own ? undefined : true,
      ttl,
    }
    return this.engine.brought(reply, decision, this.request)
  }

  /**
   * There is no answer, or one that says that the target has failed while something stale is there.
   * @param own the target was asked for this client, whose the answer then is
   */
  #failed(status: number | undefined, error: unknown, own: boolean, came?: Reply): Reply | Promise<Reply> {
    const reply = own ? came : undefined
    const { engine, entry, now } = this
    if (entry !== undefined) {
      const prepared = engine.prepareEntry(entry)
      if (mayServeOnError(prepared.life, this.ask, now, isDisconnected(error))) {
        const stale = this.#answer(entry, prepared)
        // Of what it can't ask for it can't deny anything.
        if (stale !== undefined && stale.status !== 412) {
          if (reply !== undefined) discard(reply)
          this.#release()
          const { forwarded } = this
          const ttl = prepared.ttl(now)
          // It may be fresh: then the client has wanted better.
          const detail = ttl > 0 ? 'error' : 'stale-if-error'
          const decision = { hit: false, forwarded, forwardedStatus: status, ttl, detail }
          return engine.forwarded(stale, decision, this.request)
        }
      }
    }
    if (reply !== undefined) return this.#own(reply, 'error')
    if (error === undefined) return this.#pass(this.forwarded, 'error')
    return this.#throw(error, { forwarded: this.forwarded, collapsed: own ? undefined : true })
  }

  /** There is nothing to serve: what the host app threw, or a ProxyError, and whoever waits gets the same. */
  #throw(error: unknown, decision: Omit<Decision, 'hit'>): never {
    this.#release()
    throw this.engine.failed(error, decision, this.request, this.errorMaker)
  }

  #own(came: Reply, detail: string): Reply {
    this.#release()
    return this.#passed(ownReply(this.asked, came), this.forwarded, detail, came.status)
  }

  /** Another has fetched it: in this process, or in one that shares the store. */
  #lookAgain(): Reply | Promise<Reply> {
    this.#release()
    this.looks++
    this.vary = undefined
    return this.#look(this.key.primary)
  }

  async #head(): Promise<Reply> {
    const { arg, engine, entry, fetcher, request } = this
    if (entry === undefined) return this.#pass(this.forwarded)
    let reply: Reply
    try {
      reply = await headRequest(engine, this, entry.head, request, fetcher, arg)
    } catch (error) {
      this.now = engine.now()
      return this.#failed(undefined, error, true)
    }
    this.now = engine.now()
    if (isFailure(reply.status)) return this.#failed(reply.status, undefined, true, reply)
    this.#release()
    return this.#passed(reply, this.forwarded)
  }

  async #otherMethod(): Promise<Reply> {
    const { arg, engine, fetcher, request } = this
    const key = engine.keyFor(request, this.errorMaker)
    if (key.refused !== undefined) return this.#pass('method', key.refused)
    try {
      return this.#passed(await otherMethod(engine, request, key, fetcher, arg), 'method')
    } catch (error) {
      return this.#throw(error, { forwarded: 'method' })
    }
  }

  /** The client's own request, for it alone. */
  #pass(forwarded: Forwarded, detail?: string): Reply | Promise<Reply> {
    this.#release()
    const failed = (error: unknown): never => this.#throw(error, { forwarded, detail })
    let reply: Reply | Promise<Reply>
    try {
      reply = this.fetcher(this.#alone(), this.arg)
    } catch (error) {
      return failed(error)
    }
    if (reply instanceof Promise) return reply.then((came) => this.#passed(came, forwarded, detail), failed)
    return this.#passed(reply, forwarded, detail)
  }

  /** Answers for this key were nobody else's a moment ago, so nobody waits for this one. It tells whether that is still so. */
  async #passKnown(key: string, why: string): Promise<Reply> {
    const { engine, forwarded } = this
    const requestTime = engine.now()
    try {
      const reply = await this.fetcher(this.#alone(), this.arg)
      const times = { requestTime, responseTime: engine.now() }
      engine.knownCame(key, why, reply, { request: this.request, key: this.key, vary: this.vary, times })
      return this.#passed(reply, forwarded, why)
    } catch (error) {
      return this.#throw(error, { forwarded, detail: why })
    }
  }

  #passed(reply: Reply, forwarded: Forwarded, detail?: string, forwardedStatus = reply.status): Reply {
    return this.engine.forwarded(reply, { hit: false, forwarded, forwardedStatus, detail }, this.request)
  }

  #alone(): CacheFetch {
    return { method: this.request.method, headers: this.request.headers, shared: false, inform: true }
  }

  #release(): void {
    letGo(this.entry)
    this.entry = undefined
  }
}
