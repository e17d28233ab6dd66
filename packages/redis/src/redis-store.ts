import { randomBytes } from 'node:crypto'
import type { Entry, EntryHead, EntryWriter, PurgeKey, Store } from '@sluice/cache'
import { type Duration, parse, positiveDuration, type Size, size, that, v } from '@sluice/options'
import { Leases } from './leases.js'
import { Link } from './link.js'
import { PartsBody, partReader } from './parts-body.js'
import { PurgeNews } from './purge-news.js'
import { isRedisClient, isRedisSubscriber, type RedisClient, type RedisSubscriber } from './redis-client.js'
import { longest, RedisWriter, type Writing } from './redis-writer.js'
import { announce, gather, remove, sweep, touch } from './scripts.js'
import { openEntry, type Stored, sealHead } from './stored.js'

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /** A client that is connected, or will be. It stays yours: the store never closes it. */
  client: RedisClient
  /** Connection on which Redis tells of purges, connected and yours. Default: one that `client.duplicate()` makes, closed with the store. */
  subscriber?: RedisSubscriber
  /** What all keys begin with. Stores of the same prefix share what they keep. Default `'sluice:'`. */
  prefix?: string
  /** How long an answer of Redis may take; then it is a miss. A part of a body that has begun gets ten times as long. Default 100 ms. */
  timeout?: Duration
  /** How long Redis is left alone after three failures in a row: until then everything is a miss at once. Default 1 s. */
  pause?: Duration
  /** How long a lease stands at most: so long the other proxies wait for one that died. Default 30 s. */
  leaseTime?: Duration
  /** Largest body that is kept; 0 for any. Default 8mb. */
  maxEntry?: Size
  /** Bytes of a part of a body. A body of one part is read along with its head. Default 256kb. */
  chunk?: Size
  /** Bytes that may wait for Redis to take them; what would exceed it isn't kept. Default 32mb. */
  buffer?: Size
  /** Monotonic milliseconds. Default `performance.now`. */
  clock?: () => number
}

/** A store that several proxies share. */
export type RedisStore = Required<Store>

const positiveSize = v.pipe(
  size(),
  v.check((bytes) => bytes > 0, 'more than 0'),
)

const schema = v.strictObject({
  client: that<RedisClient>(isRedisClient, 'a client of @redis/client, or another with sendCommand()'),
  subscriber: v.optional(
    that<RedisSubscriber>(isRedisSubscriber, 'a client with subscribe() and unsubscribe()'),
  ),
  prefix: v.optional(
    that<string>((value) => typeof value === 'string', 'a text'),
    'sluice:',
  ),
  timeout: v.optional(positiveDuration(), 100),
  pause: v.optional(positiveDuration(), 1_000),
  leaseTime: v.optional(positiveDuration(), 30_000),
  maxEntry: v.optional(size(), 8 * 1024 ** 2),
  chunk: v.optional(positiveSize, 256 * 1024),
  buffer: v.optional(positiveSize, 32 * 1024 ** 2),
  clock: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function that returns milliseconds'),
    () => () => performance.now(),
  ),
})

type AnnounceReply = [number: Buffer, before: Buffer, born: Buffer, whole: number]

/** Keeps the fields that are asked for at once. */
const fields = ['h', 'd', 'b', 'p']

/**
 * A store in Redis, shared by all proxies that use the same prefix: what one has fetched the others serve, a purge reaches all of
 * them, and with leases one of them fetches for all. Redis slow or gone is a miss within `timeout`. Nothing is asked of Redis before
 * the store is used; only `purge` rejects, where Redis didn't do it.
 * @throws TypeError for a wrong option
 */
export function redisStore(options: RedisStoreOptions): RedisStore {
  const settings = parse(schema, options, 'redisStore')
  const { client, subscriber, prefix, timeout, pause, clock } = settings
  if (subscriber === undefined && typeof client.duplicate !== 'function')
    throw new TypeError(
      'redisStore.subscriber: got nothing, and this client has no duplicate(): takes a client with subscribe()',
    )
  const from = randomBytes(9).toString('hex')
  const link = new Link(client, { timeout, pause, clock })
  const leases = new Leases(link, prefix, Math.ceil(settings.leaseTime))
  const released = (key: string, token: string): void => leases.released(key, token)
  const news = new PurgeNews({ link, prefix, client, subscriber, from, released })
  const { chunk, maxEntry, buffer } = settings
  const learned = (number: number, mark: number): void => news.learned(number, mark)
  const writing: Writing = { link, prefix, chunk, maxEntry, buffer, held: 0, learned }
  let writers = 0

  const read = async (key: string): Promise<Entry | undefined> => {
    const until = clock() + timeout
    const stored = openEntry(key, await link.send(['HMGET', `${prefix}e:${key}`, ...fields]))
    if (stored === undefined) return undefined
    const { name, parts } = stored.body
    if (parts > 0) {
      const keys = Array.from({ length: parts }, (_, index) => `${prefix}b:${name}:${index}`)
      if ((await link.send(['EXISTS', ...keys], link.left(until, timeout))) !== parts) return undefined
    }
    news.used()
    return entryOf(link, prefix, stored)
  }

  /** The number of the last purge as of now: for one who has no mark. */
  const markOfNow = async (): Promise<number> => {
    const found = (await link.send(['ZREVRANGE', `${prefix}log`, '0', '0'])) as Buffer[]
    return found.length === 0 ? 0 : Number.parseInt(String(found[0]), 10)
  }

  return {
    async get(key: string, signal?: AbortSignal): Promise<Entry | undefined> {
      const found = read(key).catch(() => undefined)
      return signal === undefined ? found : orAborted(found, signal)
    },
    put(key: string, head: EntryHead, mark?: unknown): EntryWriter | undefined {
      const tooLarge = maxEntry > 0 && head.length !== undefined && head.length > maxEntry
      if (tooLarge || !link.usable || writing.held + link.bytes > buffer || !(head.keepUntil > Date.now()))
        return undefined
      const numbered = typeof mark === 'number' ? Promise.resolve(mark) : markOfNow()
      numbered.catch(() => {})
      return new RedisWriter(writing, key, head, numbered, `${from}${(writers++).toString(36)}`)
    },
    async touch(key: string, head: EntryHead): Promise<void> {
      const ttl = Math.max(1, Math.min(longest, Math.floor(head.keepUntil - Date.now())))
      const args = [prefix, key, head.id, String(ttl), String(news.told), head.url, JSON.stringify(head.tags)]
      const done = await link
        .run(touch, [...args, sealHead(key, head), head.purged ? '1' : '0'])
        .catch(() => 0)
      if (done === 2) void news.catchUp()
    },
    async delete(key: string): Promise<void> {
      await link.run(remove, [prefix, key]).catch(() => {})
    },
    async purge(what: PurgeKey, soft = false): Promise<number> {
      const [kind, value] = purgeOf(what)
      if (link.closed) return 0
      const flag = soft ? '1' : '0'
      // No request waits for it, and one that isn't done must not pass for one that is.
      const ask = (script: typeof sweep, args: string[]): Promise<unknown> =>
        link.run(script, [prefix, ...args], 10 * timeout, true)
      try {
        const [number, before, born, whole] = (await ask(announce, [
          kind,
          value,
          flag,
          from,
        ])) as AnnounceReply
        news.announced(Number(String(number)), Number(String(before)))
        const birth = String(born)
        let cursor = ''
        if (whole !== 1) {
          do {
            cursor = String(await ask(gather, [birth, cursor]))
          } while (cursor !== '')
        }
        let purged = 0
        do {
          const [count, next] = (await ask(sweep, [birth, kind, value, flag, String(number), cursor])) as [
            number,
            Buffer,
          ]
          purged += count
          cursor = String(next)
        } while (cursor !== '')
        return purged
      } catch (cause) {
        throw new Error(`redisStore: the purge is not done: ${(cause as Error).message}`, { cause })
      }
    },
    async close(): Promise<void> {
      if (link.closed) return
      link.closed = true
      leases.close()
      await news.close()
    },
    mark(): number {
      news.begin()
      news.used()
      return news.known
    },
    watch: (fn) => news.watch(fn),
    async lease(key: string, wait: number): Promise<(() => void) | undefined> {
      news.begin()
      return leases.take(key, wait)
    },
  }
}

function entryOf(link: Link, prefix: string, { head, body, bytes }: Stored): Entry {
  const { size: bodySize, trailers } = body
  const common = trailers === undefined ? { head, size: bodySize } : { head, size: bodySize, trailers }
  if (bytes !== undefined)
    return { ...common, bytes, body: (start = 0, end = bodySize) => bytes.subarray(start, end) }
  const reader = partReader(link, prefix, body)
  return {
    ...common,
    body: (start = 0, end = bodySize) => new PartsBody(reader, body.chunk, start, Math.min(end, bodySize)),
  }
}

function purgeOf({ url, tag, prefix }: PurgeKey): [kind: string, value: string] {
  if (url !== undefined) return ['u', url]
  if (tag !== undefined) return ['t', tag]
  if (prefix !== undefined) return ['p', prefix]
  throw new TypeError('redisStore: purge takes one of url, tag and prefix')
}

/** What was asked for, or nothing once nobody waits for it. */
function orAborted<T>(found: Promise<T | undefined>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const stop = (): void => resolve(undefined)
    signal.addEventListener('abort', stop, { once: true })
    void found.then((entry) => {
      signal.removeEventListener('abort', stop)
      resolve(entry)
    })
  })
}
