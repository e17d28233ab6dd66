import { AsyncResource } from 'node:async_hooks'
import dns, { type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'

/** So old is a lookup at most that others join, in ms: behind a lost packet a resolver waits for seconds, and another one asks anew. */
const joinable = 1_000
/** So old is one that counts, in ms: longer than the system takes. A function that somebody has put in its place may never answer. */
const forgotten = 60_000
/** Of one name at a time at most, however many threads there are. */
const few = 3
/** Names that are known to be answered for. */
const most = 1_000

type Answer = [error: NodeJS.ErrnoException | null, found: string | LookupAddress[], family?: number]

/** Who waits, in the async context that it has asked in. */
class Waiting extends AsyncResource {
  constructor(private readonly callback: Parameters<LookupFunction>[2]) {
    super('SluiceLookup')
  }

  /** In a tick of its own: what one throws keeps none of the others from theirs. Of one list for all nobody may take something out. */
  answer(error: Answer[0], found: Answer[1], family: Answer[2]): void {
    const own = Array.isArray(found) ? found.map((each) => ({ ...each })) : found
    this.runInAsyncScope(() => process.nextTick(this.callback, error, own, family))
  }
}

/** One that the system is asked for. */
interface Lookup {
  readonly question: string
  readonly since: number
  waiting: Waiting[]
}

/**
 * Lookups by the system, shared by all who ask the same. The system is asked on half of libuv's threads, two by default, and a name server that says
 * nothing holds one for ten seconds and more: connections to one such name, with a lookup each, would keep the names of all other targets from being
 * looked up.
 *
 *     a lookup for the same is under way, begun a second ago at most ---> who asks joins it
 *     else fewer than `atOnce` are under way ---> another one begins: a packet may have been lost
 *     else ---> joins the last one
 *
 *     atOnce = spare, but at least 1, and at least 2 for a name that the last lookup has found
 *     spare = threads - 1, but 3 at most
 *
 * An address that one of them finds is everybody's who waits for the same, a failure only of those who have joined that one. Nothing is kept beyond the answer.
 */
export class SharedLookups {
  /** Those under way that count, the oldest first. */
  private readonly underWay = new Set<Lookup>()
  /** The same by what was asked. */
  private readonly byQuestion = new Map<string, Lookup[]>()
  /** What the last lookup has found, and no second one has begun for since. The oldest first. */
  private readonly found = new Set<string>()

  /**
   * @param ask the system's lookup
   * @param now monotonic milliseconds
   * @param threads on which the system can be asked at the same time
   */
  constructor(
    private readonly ask: LookupFunction,
    private readonly now: () => number = () => performance.now(),
    private readonly threads: () => number = lookupThreads,
  ) {}

  /** As `dns.lookup`. */
  readonly lookup: LookupFunction = (name, options, callback) => {
    const now = this.now()
    this.forget(now - forgotten)
    const { all, family, hints, order, verbatim } = options
    // What an app says of the order at large is an option of each lookup that says nothing.
    const ordered = order ?? verbatim ?? dns.getDefaultResultOrder()
    const question = JSON.stringify([name, family, hints, all === true, ordered])
    const waiting = new Waiting(callback)
    const same = this.byQuestion.get(question) ?? []
    const last = same.at(-1)
    if (last !== undefined && (now - last.since <= joinable || same.length >= this.atOnce(question))) {
      last.waiting.push(waiting)
      return
    }
    // The next may hang as well: one chance for each time that it was answered for.
    if (last !== undefined) this.found.delete(question)
    const lookup: Lookup = { question, since: now, waiting: [waiting] }
    this.byQuestion.set(question, [...same, lookup])
    this.underWay.add(lookup)
    let isOver = false
    try {
      this.ask(name, options, (...answer: Answer) => {
        if (isOver) return
        isOver = true
        this.answer(lookup, answer)
      })
    } catch (error) {
      isOver = true
      this.leave(lookup)
      throw error
    }
  }

  private atOnce(question: string): number {
    const spare = Math.min(this.threads() - 1, few)
    return Math.max(spare, this.found.has(question) ? 2 : 1)
  }

  private answer(lookup: Lookup, [error, found, family]: Answer): void {
    const { question } = lookup
    this.leave(lookup)
    this.found.delete(question)
    const told = [lookup]
    if (!error) {
      this.found.add(question)
      for (const oldest of this.found) {
        if (this.found.size <= most) break
        this.found.delete(oldest)
      }
      // They stay under way, for they hold their thread, and nobody waits for them any more.
      told.push(...(this.byQuestion.get(question) ?? []))
    }
    for (const each of told) {
      for (const waiting of each.waiting.splice(0)) waiting.answer(error, found, family)
    }
  }

  /** Those that have begun by then count no more. */
  private forget(until: number): void {
    for (const lookup of this.underWay) {
      if (lookup.since >= until) return
      this.leave(lookup)
    }
  }

  private leave(lookup: Lookup): void {
    if (!this.underWay.delete(lookup)) return
    const { question } = lookup
    const others = this.byQuestion.get(question)?.filter((each) => each !== lookup) ?? []
    if (others.length > 0) this.byQuestion.set(question, others)
    else this.byQuestion.delete(question)
  }
}

/** Threads of libuv on which it asks name servers: half of them, rounded up. */
function lookupThreads(): number {
  const size = Number.parseInt(process.env.UV_THREADPOOL_SIZE ?? '4', 10) || 1
  return Math.ceil(Math.min(Math.max(size, 1), 1_024) / 2)
}

/** Of this process. The function is looked for at each call: apps put lookups of their own there. */
const systemLookups = new SharedLookups((name, options, callback) =>
  dns.lookup(name, options, callback as never),
)

/** `dns.lookup`, shared with whoever asks the same meanwhile: see {@link SharedLookups}. */
export const sharedLookup: LookupFunction = systemLookups.lookup
