import { fault, quote } from '@sluice/options'
import { LRUCache } from 'lru-cache'
import type { CertificateFault } from './certificate-fault.js'
import type { CertificateProvider } from './certificate-source.js'
import { type Identity, type KnownIssuers, readIdentity } from './identity.js'
import type { IdentitySet, IdentitySets } from './identity-sets.js'
import type { KeyPair } from './key-pair.js'
import { readServerName } from './server-name.js'
import type { StoreSettings } from './store-options.js'

/** Names that a provider had nothing for, that are remembered: an attacker can think of any number. */
const mostMissing = 10_000
/** Names that wait until another one has been answered, for each that may be asked for at once. */
const lineFor = 10

interface Held {
  readonly set: IdentitySet
  /** Of the question that it answers. */
  readonly nth: number
  readonly since: number
  /** The earliest end of the certificates. */
  readonly expires: number
  /** Whoever comes next waits for a newer answer. */
  changed: boolean
  /** When asking again has failed. */
  failed: number | undefined
}

interface Lookup {
  readonly name: string
  readonly nth: number
  readonly promise: Promise<IdentitySet | undefined>
  readonly resolve: (set: IdentitySet | undefined) => void
  state: 'in line' | 'asked' | 'over'
  /** Told of a change since it was asked. */
  changed: boolean
  cancel: () => void
}

/**
 * What a provider has answered, by name.
 *
 * held     name -> certificates; those that nobody asked for in a long time fall out, beyond `contexts`. It is served as it is, but:
 *          told of a change, or expired: who comes next waits for a newer answer
 *          older than `refresh`: it is asked for in passing
 *          asking has failed: not again before `missing` is over
 * missing  name -> when there was none, or asking failed: not asked again before `missing` is over. Bounded
 * lookups  name -> a question under way, one for all who wait. At most `lookups` at once; ten times as many names wait in line, and for
 *          those that find no place the answer is what is held, or none. Each is over after `timeout`, with that answer, and gives its
 *          place to the next; what comes later still is taken for those who ask next
 */
export class AskedNames implements Disposable {
  readonly #held: LRUCache<string, Held>
  /** Made when it is first needed: it takes its whole room, some 200 KB, at once. */
  #missing: LRUCache<string, number> | undefined
  readonly #lookups = new Map<string, Lookup>()
  readonly #identities = new WeakMap<KeyPair, Identity>()
  #line: Lookup[] = []
  #asked = 0
  #nth = 0
  #disposed = false
  readonly #watch: Disposable | undefined

  constructor(
    private readonly provider: CertificateProvider,
    private readonly path: string,
    private readonly settings: StoreSettings,
    private readonly sets: IdentitySets,
    private readonly known: KnownIssuers,
    private readonly heard: {
      readonly fault: (fault: CertificateFault) => void
      readonly changed: () => void
      /** A set that is served no more. */
      readonly gone: (set: IdentitySet) => void
    },
  ) {
    this.#held = new LRUCache({ max: settings.contexts })
    this.#watch = provider.watch?.((names) => {
      if (this.#disposed) return
      this.#changed(names)
      heard.changed()
    })
  }

  /** @param name as `readServerName` gives it. The promise never rejects. */
  get(name: string): IdentitySet | undefined | Promise<IdentitySet | undefined> {
    const now = this.settings.now()
    const held = this.#held.get(name)
    if (held === undefined) {
      const since = this.#missing?.get(name)
      return this.#isOver(since, this.settings.missing, now) ? this.#ask(name) : undefined
    }
    if (!this.#isOver(held.failed, this.settings.missing, now)) return held.set
    if (held.changed || now > held.expires) return this.#ask(name)
    const { refresh } = this.settings
    if (refresh > 0 && this.#isOver(held.since, refresh, now)) void this.#ask(name)
    return held.set
  }

  /** Of those that it is asked again for before they serve none: the provider may have had others for weeks, and nobody came. */
  *identities(): Generator<Identity> {
    for (const { set, changed, failed } of this.#held.values())
      if (!changed || failed !== undefined) yield* set
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#watch?.[Symbol.dispose]()
    for (const lookup of [...this.#lookups.values()]) this.#end(lookup, this.#held.get(lookup.name)?.set)
  }

  /** A clock that was set back ends the wait, too. */
  #isOver(since: number | undefined, ms: number, now: number): boolean {
    return since === undefined || now < since || now - since >= ms
  }

  #changed(names: readonly string[] | undefined): void {
    const read = names?.map(readServerName)
    // What is no plain name, a wildcard say, may concern any.
    const all = read === undefined || read.includes(undefined)
    for (const name of all ? [...this.#held.keys()] : (read as string[])) {
      const held = this.#held.peek(name)
      if (held !== undefined) Object.assign(held, { changed: true, failed: undefined })
      this.#missing?.delete(name)
    }
    for (const [name, lookup] of this.#lookups) if (all || read.includes(name)) lookup.changed = true
    if (all) this.#missing?.clear()
  }

  #ask(name: string): IdentitySet | undefined | Promise<IdentitySet | undefined> {
    const joined = this.#lookups.get(name)
    if (joined !== undefined) return joined.promise
    const { lookups, timeout, after } = this.settings
    const free = this.#asked < lookups
    if (this.#disposed || (!free && this.#line.length >= lookups * lineFor)) return this.#held.get(name)?.set
    const lookup = newLookup(name, this.#nth++)
    if (free) {
      const answer = this.#call(lookup)
      if (!(answer instanceof Promise)) return answer
    } else this.#line.push(lookup)
    this.#lookups.set(name, lookup)
    lookup.cancel = after(timeout, () => {
      this.#fail(lookup, new Error(`the provider gave no answer in ${timeout} ms`))
    })
    return lookup.promise
  }

  /** Asks the provider; what it answers at once takes no place. */
  #call(lookup: Lookup): IdentitySet | undefined | Promise<IdentitySet | undefined> {
    let answer: unknown
    let isLate: boolean
    try {
      answer = this.provider.get(lookup.name)
      isLate = isThenable(answer)
    } catch (error) {
      return this.#fail(lookup, error)
    }
    lookup.changed = false
    if (!isLate) return this.#take(lookup, answer)
    this.#asked++
    lookup.state = 'asked'
    Promise.resolve(answer).then(
      (value) => this.#take(lookup, value),
      (error: unknown) => this.#fail(lookup, error),
    )
    return lookup.promise
  }

  #take(lookup: Lookup, answer: unknown): IdentitySet | undefined {
    const { name, nth, changed } = lookup
    const before = this.#held.peek(name)
    // Late ones may have been overtaken.
    if (this.#disposed || (before !== undefined && before.nth > nth)) return undefined
    let identities: Identity[]
    try {
      identities = this.#read(name, answer)
    } catch (error) {
      return this.#fail(lookup, error)
    }
    const set = identities.length === 0 ? undefined : this.sets.of(identities)
    if (set !== undefined) {
      const expires = Math.min(...set.map(({ info }) => info.notAfter))
      const since = this.settings.now()
      this.#held.set(name, { set, nth, since, expires, changed, failed: undefined })
      this.#missing?.delete(name)
    } else {
      this.#held.delete(name)
      if (!changed) this.#misses(name, this.settings.now())
    }
    if (before !== undefined && before.set !== set) this.heard.gone(before.set)
    return this.#end(lookup, set)
  }

  #misses(name: string, now: number): void {
    this.#missing ??= new LRUCache({ max: mostMissing })
    this.#missing.set(name, now)
  }

  #fail(lookup: Lookup, thrown: unknown): IdentitySet | undefined {
    const { name, state, changed } = lookup
    if (state === 'over' || this.#disposed) return undefined
    const held = this.#held.peek(name)
    const now = this.settings.now()
    if (held !== undefined && !changed) held.failed = now
    if (held === undefined && !changed) this.#misses(name, now)
    const set = this.#end(lookup, held?.set)
    const error = thrown instanceof Error ? thrown : new Error(`the provider threw ${quote(thrown)}`)
    this.heard.fault({ where: this.path, servername: name, error, kept: held !== undefined })
    return set
  }

  /** Whoever waits hears it, and the next in line is asked for. */
  #end(lookup: Lookup, set: IdentitySet | undefined): IdentitySet | undefined {
    const { state, name } = lookup
    if (state === 'over') return set
    lookup.state = 'over'
    lookup.cancel()
    if (this.#lookups.get(name) === lookup) this.#lookups.delete(name)
    lookup.resolve(set)
    if (state === 'in line') this.#line = this.#line.filter((other) => other !== lookup)
    else {
      this.#asked--
      this.#next()
    }
    return set
  }

  #next(): void {
    while (!this.#disposed && this.#asked < this.settings.lookups) {
      const next = this.#line.shift()
      if (next === undefined) return
      void this.#call(next)
    }
  }

  #read(name: string, answer: unknown): Identity[] {
    const path = `${this.path}.get(${JSON.stringify(name)})`
    if (answer === undefined || answer === null) return []
    const pairs = Array.isArray(answer) ? (answer as readonly KeyPair[]) : [answer as KeyPair]
    return pairs.map((pair, i) => {
      const where = pairs.length === 1 ? path : `${path}[${i}]`
      if (typeof pair !== 'object' || pair === null)
        throw new TypeError(fault(where, `a ${typeof pair}`, '{ cert, key }'))
      const read = this.#identities.get(pair)
      const now = this.settings.now()
      if (read !== undefined && now <= read.info.notAfter) return read
      const identity = readIdentity(pair, where, now, this.known)
      this.#identities.set(pair, identity)
      return identity
    })
  }
}

function newLookup(name: string, nth: number): Lookup {
  let resolve: Lookup['resolve'] = () => {}
  const promise = new Promise<IdentitySet | undefined>((fn) => {
    resolve = fn
  })
  return { name, nth, promise, resolve, state: 'in line', changed: false, cancel() {} }
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
