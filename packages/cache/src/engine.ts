import { channel } from 'node:diagnostics_channel'
import { ProxyError, type Reply } from '@sluice/core'
import { type HeaderList, has, remove, varyNames } from '@sluice/headers'
import debug from 'debug'
import type { CacheSettings } from './cache-options.js'
import type { CacheRequest, ErrorMaker } from './cache-request.js'
import type { Cache } from './create-cache.js'
import type { Decision, DecisionEvent } from './decision.js'
import { fetchFields } from './fetch-fields.js'
import { Fill } from './fill.js'
import { FillBudget } from './fill-budget.js'
import { Flights } from './flights.js'
import { flightsOver } from './flights-over.js'
import { growingCopy } from './growing-copy.js'
import { GuardedStore, letGo } from './guarded-store.js'
import { HitForMiss } from './hit-for-miss.js'
import { isEntry, isEntryHead } from './is-entry.js'
import { type Kept, keep, type Times } from './keep.js'
import { type CacheKey, createKey, type RefusedKey } from './key.js'
import { Markers } from './markers.js'
import { MemoryEntry } from './memory-entry.js'
import { nameVerdicts } from './name-verdicts.js'
import { passesAsItIs } from './no-answers.js'
import { withAge } from './policy/age.js'
import { invalidates } from './policy/invalidation.js'
import { keepUntil, life } from './policy/life.js'
import { storable, storedFields } from './policy/storable.js'
import { tagsOf } from './policy/tags.js'
import type { PolicyResponse } from './policy/types.js'
import { freshen, headUpdates } from './policy/validation.js'
import { type Preparable, Prepared } from './prepared.js'
import { withoutCookies } from './private-cookies.js'
import { createPurgeKey } from './purge-key.js'
import { StatusText } from './status-text.js'
import type { Entry, EntryHead, EntryWriter, PurgeKey } from './store.js'
import { unkeyed } from './unkeyed.js'

const log = debug('sluice:cache')
/** How long nothing is fetched again behind what is served stale, after that has failed. In ms. */
const pause = 1000

/** Bytes of a body that may well be in memory twice while somebody reads it: to look for the store's copy costs more. */
const worthHandingOver = 64 * 1024

const decisions = channel('sluice:cache:decision')

/** What a request says of who asks. */
type Who = Pick<CacheRequest, 'authorized' | 'headers'>

/** What all visits of one cache share. */
export class Engine {
  readonly store: GuardedStore
  readonly flights = new Flights()
  readonly hitForMiss = new HitForMiss()
  /** Keys of entries that couldn't be fetched again behind what was served: requests for them don't try that all the time. */
  readonly failing = new HitForMiss(pause)
  readonly markers: Markers
  readonly keyOf: ReturnType<typeof createKey>
  /** Makes the fields of a fetch whose answer others will get. */
  readonly fetchFields: ReturnType<typeof fetchFields>
  readonly #isUnkeyed: (name: string) => boolean
  readonly now: () => number
  /** The cache that this is the engine of. */
  itself: Cache | undefined = undefined
  readonly #purgeKeyOf: ReturnType<typeof createPurgeKey>
  readonly budget: FillBudget
  readonly #statusText: StatusText
  readonly #unwatch: (() => void) | undefined
  /** The fetches of all caches over the same store. */
  readonly #overStore: Set<Flights>

  constructor(readonly settings: CacheSettings) {
    this.now = settings.clock
    this.store = new GuardedStore(settings.store, settings.storeTimeout)
    this.markers = new Markers(this.store, settings.maxVariants, settings.store)
    this.keyOf = createKey(settings.key)
    this.#purgeKeyOf = createPurgeKey(settings.key)
    this.budget = new FillBudget(settings.maxFilling)
    this.#statusText = new StatusText(settings.statusName === false ? 'sluice' : settings.statusName)
    this.fetchFields = fetchFields(settings.key.headers)
    this.#isUnkeyed = nameVerdicts(unkeyed(settings.key.headers))
    this.#overStore = flightsOver(settings.store, this.flights)
    this.#unwatch = settings.store.watch?.((what) => this.flights.doom(what))
  }

  /** What serving needs of a head: read once for each. */
  prepare(head: Preparable): Prepared {
    const { prepared } = head
    if (prepared?.isFor(this.settings) === true) return prepared
    head.prepared = new Prepared(head.head, this.settings)
    return head.prepared
  }

  /** Others than our own have no room for it, and are mostly made anew each time. */
  prepareEntry(entry: Entry): Prepared {
    return entry instanceof MemoryEntry ? this.prepare(entry) : new Prepared(entry.head, this.settings)
  }

  /** An answer's body, to be stored while it comes. */
  fill({ body, trailers }: Reply, writer: EntryWriter | undefined, { length }: EntryHead): Fill {
    return new Fill(body, writer, { keep: this.settings.maxEntry, budget: this.budget, length, trailers })
  }

  /** Those who are slow to read what is stored by now need no copy of their own. */
  handOver(fill: Fill, { head, key }: Kept): void {
    // A store that answers later has no copy in memory.
    if (fill.received < worthHandingOver || !fill.isLagging || this.store.waits) return
    const entry = this.store.get(key)
    if (entry === undefined || entry instanceof Promise) return
    const sound = this.isSound(entry, head.primary) && entry.head.id === head.id
    if (sound && entry.bytes !== undefined) fill.continueWith(entry.bytes)
    letGo(entry)
  }

  /** Whether a request that goes out as it came may be answered by what the key doesn't tell apart: its client would choose for others. */
  isUnkeyed(headers: HeaderList): boolean {
    return headers.some((text, i) => i % 2 === 0 && this.#isUnkeyed(text))
  }

  /** Whether others may get an answer to a request that may have said who asks (RFC 9111 section 3.5): of what only renews a stored one, too. */
  isForOthers(asked: Who, { headers, status }: PolicyResponse): boolean {
    if (!asked.authorized && !has(asked.headers, 'authorization')) return true
    const request = { method: 'GET', headers: asked.headers, authorized: true }
    return storable(request, { status, headers }, this.settings, this.now()) !== 'authorization'
  }

  /** Whether the answer to a client's own request may renew what others get. */
  mayRenew(asked: Who, reply: Reply): boolean {
    return !this.isUnkeyed(asked.headers) && this.isForOthers(asked, reply)
  }

  /** Whether what the store gave is what it was asked for: looked at once, where there is room to know. Else it is a miss: better than a wrong answer. */
  isSound(entry: Entry, primary: string): boolean {
    const isKnown = entry instanceof MemoryEntry && entry.prepared !== undefined
    if (!isKnown && !(isEntry(entry) && isEntryHead(entry.head))) return false
    const { head, size } = entry
    if (head.primary !== primary) return false
    const { length, part } = head
    return (length ?? size) === size && (part === undefined || part.last - part.first + 1 === size)
  }

  /** The head that a stored response has once a 304 has confirmed it (RFC 9111 section 3.2). */
  validated(stale: EntryHead, reply: Reply, times: Times): EntryHead {
    const came = withoutCookies(reply.headers, this.settings.privateCookies)
    const update = storedFields({ status: reply.status, headers: came }, this.settings)
    const { purged: _, ...rest } = stale
    const { responseTime } = times
    let headers = this.#together(stale, update)
    // Cookies that couldn't have come with the response itself don't come with what confirms it.
    if (this.#why(stale.status, headers) === 'set-cookie') {
      remove(update, 'set-cookie')
      headers = this.#together(stale, update)
    }
    const tags = tagsOf(headers) ?? stale.tags
    const head = {
      ...rest,
      tags,
      requestTime: withAge(times.requestTime, reply.headers),
      responseTime,
      headers,
    }
    return { ...head, keepUntil: keepUntil(life(head, this.settings)) }
  }

  /** What is stored may name fields that it keeps from others, where the update doesn't (RFC 9111 sections 5.2.2.4 and 5.2.2.7). */
  #together({ headers, status }: EntryHead, update: HeaderList): HeaderList {
    return storedFields({ status, headers: freshen(headers, update) }, this.settings)
  }

  /**
   * Why a response that has been confirmed can't be kept any longer, by what came with that. `undefined`: it can.
   * @param vary names that it was stored by
   */
  unkeepable({ headers, status }: EntryHead, vary: readonly string[] | undefined): string | undefined {
    const names = varyNames(headers)
    // By a name that is new nobody can tell what it was chosen by.
    if (names !== '*' && names.some((name) => vary?.includes(name) !== true)) return 'vary'
    return this.#why(status, headers)
  }

  #why(status: number, headers: HeaderList): string | undefined {
    return storable({ method: 'GET', headers: [] }, { status, headers }, this.settings, this.now())
  }

  /** Stores the head that a 304 or a HEAD has renewed, or drops the entry. */
  renew(entryKey: string, head: EntryHead, vary: readonly string[] | undefined): Promise<void> | undefined {
    if (this.unkeepable(head, vary) !== undefined) return this.store.delete(entryKey)
    const touched = this.store.touch(entryKey, head)
    if (vary !== undefined) this.markers.renew(head.primary, head.keepUntil)
    return touched
  }

  /** Drops what an unsafe method has changed, before its answer is seen (RFC 9111 section 4.4), from the peers as well. Never rejects. */
  async changed(request: CacheRequest, url: string, reply: Reply): Promise<void> {
    const peers = this.settings.peers.filter((peer) => peer !== this.itself)
    const all = [
      this.#invalidate(request.method, url, reply),
      ...peers.map(async (peer) => peer.invalidate(request, reply)),
    ]
    // What fails at one has been told of there.
    await Promise.allSettled(all)
  }

  /** The same for a request that went by another way. */
  async changedElsewhere(request: CacheRequest, reply: Reply): Promise<void> {
    if (passesAsItIs(reply)) return
    try {
      const key = this.keyOf(request)
      if (key.refused === undefined) await this.#invalidate(request.method, key.url, reply)
    } catch (error) {
      if (log.enabled) log('what %s has changed at %s is not known: %s', request.method, request.path, error)
    }
  }

  /** Takes no longer than the store may. */
  async #invalidate(method: string, url: string, reply: Reply): Promise<void> {
    const found = invalidates({ method, url }, reply)
    if (found.length === 0) return
    // Its own by its bytes: what a URL is made of them may be spelt otherwise.
    const all = new Set([url, ...found.map((one) => this.#purgeKeyOf({ url: one }).url as string)])
    for (const one of all) this.#doom({ url: one })
    await Promise.all([...all].map((one) => this.store.invalidate({ url: one })))
  }

  #doom(what: PurgeKey): void {
    for (const flights of this.#overStore) flights.doom(what)
  }

  purge(what: PurgeKey, soft: boolean): Promise<number> {
    const exact = this.#purgeKeyOf(what)
    this.#doom(exact)
    return this.store.purge(exact, soft)
  }

  /** What came of a request for a key whose answers couldn't be stored, for `why`: tells whether that is still so. */
  knownCame(
    key: string,
    why: string,
    reply: Reply,
    {
      request,
      key: at,
      times,
      vary,
    }: { request: CacheRequest; key: CacheKey; times: Times; vary: readonly string[] | undefined },
  ): void {
    // A 304 tells of the response that the client has; other answers to its conditions of nothing.
    const status = reply.status === 304 ? 200 : reply.status
    if (status === 412 || status === 416 || passesAsItIs(reply)) return
    const kept = keep(this.settings, request, { ...reply, status }, at, times, vary)
    if (typeof kept === 'string') this.hitForMiss.note(key, kept, times.responseTime)
    // Without a length nobody knows yet that it isn't as large again.
    else if (why === 'too-large' && kept.head.length === undefined)
      this.hitForMiss.note(key, why, times.responseTime)
    else this.hitForMiss.forget(key)
  }

  /** RFC 9111 section 4.3.5: a HEAD renews what is stored, or shows that it is of yesterday. */
  async headCame(
    entryKey: string,
    stored: EntryHead,
    reply: Reply,
    times: Times,
    vary: readonly string[] | undefined,
  ): Promise<void> {
    const how = headUpdates(stored, reply)
    if (how === 'update') await this.renew(entryKey, this.validated(stored, reply, times), vary)
    else if (how === 'invalidate') await this.store.delete(entryKey)
  }

  /** An answer without asking the target. */
  hit(
    reply: Reply,
    prepared: Prepared,
    now: number,
    detail: string | undefined,
    request: CacheRequest,
  ): Reply {
    const { statusKey, statusName, xCache } = this.settings
    if (decisions.hasSubscribers || log.enabled || statusKey) {
      return this.#tell(reply, { hit: true, ttl: prepared.ttl(now), detail }, request)
    }
    // The answer's list is its own here, and most of the text the same for a second.
    if (statusName !== false) {
      const text = prepared.hitStatus(now)
      reply.headers.push('Cache-Status', detail === undefined ? text : `${text}; detail=${detail}`)
    }
    if (xCache) reply.headers.push('X-Cache', detail === undefined ? 'HIT' : 'STALE')
    return reply
  }

  /** An answer for which the target was asked, or would have been. */
  forwarded(reply: Reply, decision: Decision, request: CacheRequest): Reply {
    if (passesAsItIs(reply)) return reply
    // A handler may give one reply many times: its list isn't ours.
    return this.#tell({ ...reply, headers: growingCopy(reply.headers) }, decision, request)
  }

  /** The same, of an answer whose list of fields is its own. */
  brought(reply: Reply, decision: Decision, request: CacheRequest): Reply {
    return this.#tell(reply, decision, request)
  }

  /**
   * What came instead of an answer, for somebody further out to make one of.
   * @returns what to throw
   */
  failed(
    error: unknown,
    { detail = 'error', ...decision }: Omit<Decision, 'hit'>,
    request: CacheRequest,
    make: ErrorMaker | undefined,
  ): unknown {
    const known = error instanceof ProxyError ? error : undefined
    // Who has left gets no answer.
    if (known?.code === 'client_left') return error
    const told: Reply = { status: known?.status ?? 500, headers: [], body: null }
    this.#tell(told, { hit: false, ...decision, detail }, request)
    return make === undefined || told.headers.length === 0 ? error : make(error, told.headers)
  }

  /** The key of a request. @throws what a function of the options throws, told of */
  keyFor(request: CacheRequest, make: ErrorMaker | undefined): CacheKey | RefusedKey {
    try {
      return this.keyOf(request)
    } catch (error) {
      throw this.failed(error, {}, request, make)
    }
  }

  #tell(reply: Reply, decision: Decision, request: CacheRequest): Reply {
    const { statusKey, statusName, xCache } = this.settings
    if (decisions.hasSubscribers) {
      const event: DecisionEvent = { request, status: reply.status, ...decision }
      decisions.publish(event)
    }
    if (statusName !== false || log.enabled) {
      const key = statusKey ? this.keyOf(request) : undefined
      const shown = key?.refused === undefined ? key?.primary : undefined
      const text = this.#statusText.of(decision, shown)
      const { authority, method, path, scheme } = request
      if (log.enabled) log('%s %s://%s%s %d %s', method, scheme, authority, path, reply.status, text)
      if (statusName !== false) reply.headers.push('Cache-Status', text)
    }
    if (xCache) reply.headers.push('X-Cache', xCacheOf(decision))
    return reply
  }

  close(): Promise<void> {
    this.#unwatch?.()
    this.#overStore.delete(this.flights)
    return this.settings.ownStore ? this.settings.store.close() : Promise.resolve()
  }
}

/** The words that the field has nearly everywhere. */
function xCacheOf({ forwarded, forwardedStatus, detail, hit }: Decision): string {
  if (hit) return detail === undefined ? 'HIT' : 'STALE'
  if (detail === 'stale-if-error') return 'STALE'
  if (forwarded === 'bypass' || forwarded === 'method') return 'BYPASS'
  if (forwarded === 'stale') return forwardedStatus === 304 ? 'REVALIDATED' : 'EXPIRED'
  return 'MISS'
}
