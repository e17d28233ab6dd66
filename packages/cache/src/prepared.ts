import { get, type HeaderList } from '@sluice/headers'
import type { CacheSettings } from './cache-options.js'
import { fieldsOf304 } from './conditional-reply.js'
import { growingCopy } from './growing-copy.js'
import { type Life, life } from './policy/life.js'
import type { EntryHead } from './store.js'

/** What was stored later than now by more than that was stored before the clock was set back. In ms. */
const clockSlack = 60_000

/** A head, with room for what serving it needs. */
export interface Preparable {
  readonly head: EntryHead
  prepared: Prepared | undefined
}

/** What serving an entry needs of its head, read once for all that it is served to. It stands beside the head: see docs/decisions/059. */
export class Prepared {
  readonly life: Life
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  readonly date: string | undefined
  /** The entry is a success: only then are conditions answered (RFC 9110 section 13.2.1) and ranges cut. */
  readonly success: boolean
  readonly #fields: HeaderList = []
  #size: number | undefined
  #age = -1
  #whole: HeaderList = []
  #brief: HeaderList | undefined = undefined
  #hit = ''

  constructor(
    readonly head: EntryHead,
    private readonly settings: CacheSettings,
  ) {
    this.life = life(head, settings)
    const { headers } = head
    this.etag = get(headers, 'etag')
    this.lastModified = get(headers, 'last-modified')
    this.date = get(headers, 'date')
    this.success = head.status >= 200 && head.status < 300
    // RFC 9110 section 8.6: a 204 never says a length.
    let sized = head.status === 204
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      if (name.length === 3 && name.toLowerCase() === 'age') continue
      if (name.length === 14 && name.toLowerCase() === 'content-length') sized = true
      this.#fields.push(name, headers[i + 1] as string)
    }
    this.#size = sized ? -1 : undefined
  }

  /** Several caches may share a store. */
  isFor(settings: CacheSettings): boolean {
    return this.settings === settings
  }

  /**
   * The fields with an `Age` of now, in a list of the caller's own.
   * @param size bytes of the body, for an entry that came without saying so; `undefined`: not known yet, or not to be told
   */
  fields(now: number, size: number | undefined): HeaderList {
    this.#turn(now)
    const list = growingCopy(this.#whole)
    if (size !== undefined && this.#size === undefined) list.push('Content-Length', String(size))
    return list
  }

  /** The fields of a 304. */
  fieldsOf304(now: number): HeaderList {
    this.#turn(now)
    this.#brief ??= fieldsOf304(this.#whole)
    return this.#brief.slice()
  }

  /** The member of `Cache-Status` for a hit. */
  hitStatus(now: number): string {
    this.#turn(now)
    return this.#hit
  }

  /** Whole seconds for which it stays fresh; less than 0 for how long it hasn't been. 0 at most once it was purged. */
  ttl(now: number): number {
    return ttlOf(this.life, now)
  }

  /** Whether it was stored before the clock was set back: its age isn't known. */
  isOfLater(now: number): boolean {
    return this.head.responseTime > now + clockSlack
  }

  /** What is the same for a second is made once in it. */
  #turn(now: number): void {
    const age = ageOf(this.life, now)
    if (age === this.#age) return
    this.#age = age
    this.#whole = [...this.#fields, 'Age', String(age)]
    this.#brief = undefined
    this.#hit = `${this.settings.statusName}; hit; ttl=${this.ttl(now)}`
  }
}

/** How old a response is, in whole seconds. */
export function ageOf({ bornAt }: Life, now: number): number {
  return Math.max(0, Math.floor((now - bornAt) / 1000))
}

/** Whole seconds for which a response stays fresh; less than 0 for how long it hasn't been. */
export function ttlOf(life: Life, now: number): number {
  const left = Math.floor(life.freshFor / 1000) - ageOf(life, now)
  return life.purged ? Math.min(left, 0) : left
}
