import type { PurgeKey } from '@sluice/cache'
import debug from 'debug'
import type { Link } from './link.js'
import type { RedisClient, RedisSubscriber } from './redis-client.js'
import { look } from './scripts.js'

const log = debug('sluice:redis')

/** Between two looks into the log of purges, in ms: so late is one heard at most whose message was lost without a sign. */
const lookEvery = 10_000

type Watcher = (what: PurgeKey, soft: boolean) => void

/** What a store's news come from, and whom they are for. */
export interface NewsOptions {
  readonly link: Link
  readonly prefix: string
  readonly client: RedisClient
  readonly subscriber: RedisSubscriber | undefined
  /** Names this store among all that share the prefix: of its own purges it knows. */
  readonly from: string
  /** Hears that the lease of a key has ended, and whose it was. */
  released(key: string, token: string): void
}

/**
 * What other proxies tell: purges, and leases that ended. A message may be lost with its connection; so each purge has a number and
 * names the one before, and what is missing is read from the log. Where the log doesn't reach back, everything counts as purged.
 */
export class PurgeNews {
  /** No purge up to this number is still to be made known: what is asked for now comes after them. 0: nothing is known yet. */
  known = 0
  /** The last purge that watchers have been told of. */
  private heard: number | undefined = undefined
  /** Somebody may keep what was given out, or fetched, while there was nobody to hear of purges. */
  private usedBefore = false
  private readonly options: NewsOptions
  private readonly watchers = new Set<Watcher>()
  private begun = false
  private mayBeginFrom = Number.NEGATIVE_INFINITY
  private own: RedisSubscriber | undefined = undefined
  private looking: Promise<void> | undefined = undefined
  private lookAgain = false
  private timer: NodeJS.Timeout | undefined = undefined
  private retry: NodeJS.Timeout | undefined = undefined
  private readonly onMessage = (message: string): void => this.message(message)
  private readonly onReady = (): void => void this.catchUp()
  private readonly onError = (error?: Error): void => log('the subscriber: %s', error?.message)

  constructor(options: NewsOptions) {
    this.options = options
  }

  /** Up to where soft purges have been told to whoever watches. */
  get told(): number {
    return this.heard ?? this.known
  }

  /** Subscribes, where that isn't so. */
  begin(): void {
    if (this.own?.isOpen === false) this.drop()
    if (this.begun || this.options.link.closed) return
    const { clock, pause } = this.options.link.settings
    if (clock() < this.mayBeginFrom) return
    this.begun = true
    this.subscribe().catch((error: Error) => {
      log('no subscription: %s', error.message)
      this.mayBeginFrom = clock() + pause
      this.drop()
    })
  }

  watch(fn: Watcher): () => void {
    // Each call is a watcher of its own, with the same function as well.
    const watcher: Watcher = (what, soft) => fn(what, soft)
    this.watchers.add(watcher)
    this.begin()
    if (this.timer === undefined) this.timer = setInterval(() => this.tick(), lookEvery).unref()
    return () => {
      this.watchers.delete(watcher)
      if (this.watchers.size > 0) return
      clearInterval(this.timer)
      this.timer = undefined
    }
  }

  /** An entry was given out, or is about to be fetched: from then on somebody may keep what a purge is to reach. */
  used(): void {
    if (this.heard === undefined) this.usedBefore = true
  }

  /**
   * Redis has told the number of the last purge in passing.
   * @param mark what it was given: above the number only if Redis has lost its log, and its clock was set back
   */
  learned(number: number, mark: number): void {
    if (number > this.known || number < mark) this.known = number
    if (this.heard !== undefined && (number > this.heard || number < mark)) void this.catchUp()
  }

  /** This store has purged: whoever watches it knows. */
  announced(number: number, before: number): void {
    if (number > this.known) this.known = number
    if (this.heard !== undefined && before <= this.heard) this.heard = Math.max(this.heard, number)
  }

  /** Reads what was missed. Never rejects. */
  catchUp(): Promise<void> {
    this.lookAgain = true
    this.looking ??= this.lookOn().finally(() => {
      this.looking = undefined
    })
    return this.looking
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    clearTimeout(this.retry)
    this.watchers.clear()
    const { subscriber, prefix } = this.options
    if (subscriber !== undefined && this.begun) {
      await Promise.race([
        Promise.resolve(subscriber.unsubscribe(`${prefix}say`, this.onMessage)).catch(() => {}),
        new Promise((resolve) => setTimeout(resolve, this.options.link.settings.timeout).unref()),
      ])
    }
    this.drop()
  }

  private async subscribe(): Promise<void> {
    const { client, subscriber, prefix } = this.options
    const from = subscriber ?? (client.duplicate as () => RedisSubscriber).call(client)
    if (subscriber === undefined) {
      this.own = from
      from.on?.('error', this.onError)
      from.unref?.()
      await from.connect?.()
      // One that was ended while it connected may be connected all the same.
      if (this.own !== from) return end(from)
    }
    from.on?.('ready', this.onReady)
    await from.subscribe(`${prefix}say`, this.onMessage)
    await this.catchUp()
  }

  private drop(): void {
    const { own } = this
    this.own = undefined
    this.begun = false
    this.options.subscriber?.off?.('ready', this.onReady)
    if (own !== undefined) end(own)
  }

  private tick(): void {
    this.begin()
    void this.catchUp()
  }

  private message(message: string): void {
    if (message.startsWith('r')) {
      const end = message.indexOf('|')
      return this.options.released(message.slice(end + 1), message.slice(1, end))
    }
    const found = /^p(\d+)\|(.*)$/s.exec(message)
    if (found === null) return
    const member = found[2] as string
    const number = Number.parseInt(member, 10)
    if (number > this.known) this.known = number
    // The look that is on its way may have been answered before.
    if (this.heard === undefined) return void (this.looking !== undefined && this.catchUp())
    if (number <= this.heard) return
    if (Number(found[1]) > this.heard) return void this.catchUp()
    this.tell(number, member)
  }

  private async lookOn(): Promise<void> {
    while (this.lookAgain && !this.options.link.closed) {
      this.lookAgain = false
      try {
        await this.lookOnce()
      } catch (error) {
        log('the log of purges: %s', (error as Error).message)
        this.retry ??= setTimeout(() => {
          this.retry = undefined
          void this.catchUp()
        }, this.options.link.settings.pause).unref()
      }
    }
  }

  private async lookOnce(): Promise<void> {
    const { link, prefix } = this.options
    const after = this.heard
    const reply = (await link.run(look, [prefix, after === undefined ? '' : String(after)])) as [
      Buffer,
      Buffer,
      Buffer[],
    ]
    const [floor, last] = [Number(String(reply[0])), Number(String(reply[1]))]
    if (last > this.known) this.known = last
    if (after !== undefined && last < after) this.known = last
    if (after === undefined ? this.usedBefore : floor > after || last < after) {
      log('purges may have been missed: everything counts as purged')
      this.heard = last
      for (const watcher of this.watchers) call(watcher, { prefix: '' }, false)
    } else if (after !== undefined) {
      for (const member of reply[2]) {
        const number = Number.parseInt(String(member), 10)
        if (this.heard !== undefined && number > this.heard) this.tell(number, String(member))
      }
    }
    this.heard = Math.max(this.heard ?? 0, last)
  }

  private tell(number: number, member: string): void {
    this.heard = number
    const found = /^\d+\|(\d)\|(\w)\|([^|]*)\|(.*)$/s.exec(member)
    if (found === null || found[2] === 'f' || found[3] === this.options.from) return
    const value = found[4] as string
    const what = found[2] === 'u' ? { url: value } : found[2] === 't' ? { tag: value } : { prefix: value }
    for (const watcher of this.watchers) call(watcher, what, found[1] === '1')
  }
}

/** Lets go of a connection, at once and whatever its state. */
function end(connection: RedisSubscriber): void {
  try {
    // Some give a promise for it, some throw where they aren't connected.
    const gone: unknown = connection.destroy === undefined ? connection.disconnect?.() : connection.destroy()
    Promise.resolve(gone).catch(() => {})
  } catch {}
}

/** What a watcher throws is no matter of the others. */
function call(watcher: Watcher, what: PurgeKey, soft: boolean): void {
  try {
    watcher(what, soft)
  } catch (error) {
    log('a watcher threw: %s', error)
  }
}
