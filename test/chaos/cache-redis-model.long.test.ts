import { setImmediate as turn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import {
  type Cache,
  type CacheFetch,
  createCache,
  type Fetcher,
  memoryStore,
  type PurgeKey,
  type Store,
  tieredStore,
} from '@sluice/cache'
import type { Reply } from '@sluice/core'
import { redisStore } from '@sluice/redis'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { textOf, WrittenBody } from '../kit/attempt.js'
import { redisClient } from '../kit/redis-server.js'
import { until } from '../kit/until.js'
import { withRedis } from '../kit/with-redis.js'

const paths = ['/plain', '/varies'] as const
type Path = (typeof paths)[number]
const kinds = ['a', 'b', 'c'] as const
const site = 'http://a.example'

/** What may happen, in any order, at one of two caches (`by`). `rest` is how far Redis gets before the next. */
type Step = { by: 0 | 1; path: Path; rest: number } & (
  | { do: 'ask'; kind: string }
  /** The target answers: all at once, or its head alone, or not. */
  | { do: 'answer'; at: number; how: 'whole' | 'head' | 'fails' }
  | { do: 'end'; at: number; how: 'whole' | 'breaks' }
  | { do: 'change' }
  | { do: 'purge'; what: 'url' | 'tag' | 'all' | 'prefix'; soft: boolean; changed: boolean }
  | { do: 'post' }
  | { do: 'pass'; ms: number }
  /** All that is under way comes to its end. */
  | { do: 'settle' }
)

const common = {
  by: fc.constantFrom(0 as const, 1 as const),
  path: fc.constantFrom(...paths),
  rest: fc.constantFrom(0, 0, 1, 4),
}
const at = fc.nat(4)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ ...common, do: fc.constant('ask' as const), kind: fc.constantFrom(...kinds) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      ...common,
      do: fc.constant('answer' as const),
      at,
      how: fc.constantFrom(
        'whole' as const,
        'whole' as const,
        'head' as const,
        'head' as const,
        'fails' as const,
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      ...common,
      do: fc.constant('end' as const),
      at,
      how: fc.constantFrom('whole' as const, 'whole' as const, 'breaks' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...common, do: fc.constant('change' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      ...common,
      do: fc.constant('purge' as const),
      what: fc.constantFrom('url' as const, 'tag' as const, 'all' as const, 'prefix' as const),
      soft: fc.boolean(),
      changed: fc.constantFrom(true, true, false),
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...common, do: fc.constant('post' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ ...common, do: fc.constant('pass' as const), ms: fc.constantFrom(1_000, 61_000) }),
  },
  { weight: 2, arbitrary: fc.record({ ...common, do: fc.constant('settle' as const) }) },
)

/** A fetch that the target hasn't answered to its end. */
interface Open {
  readonly by: number
  readonly path: Path
  readonly kind: string
  readonly fetch: CacheFetch
  readonly answer: (reply: Reply) => void
  readonly fail: (error: Error) => void
  body: WrittenBody | undefined
  /** What is still to come of it. */
  rest: string
}

/** A purge, until all hear of it. */
interface Purge {
  readonly by: number
  readonly what: PurgeKey
  /** Of each path that it matches, what it was when the purge was begun. */
  readonly least: ReadonlyMap<Path, number>
  done: boolean
  heard: boolean
}

const bodyOf = (path: string, kind: string, version: number): string =>
  `${path} ${kind} ${version} ${String(version % 10).repeat(150)}`

/** Two caches, each with a store and connections of its own, as two processes have them. */
class Deployment {
  readonly version = new Map<Path, number>(paths.map((path) => [path, 1]))
  /** At each cache: the oldest that may still be served. */
  readonly least = [0, 1].map(() => new Map<Path, number>(paths.map((path) => [path, 1])))
  readonly open: Open[] = []
  readonly asks = new Set<Promise<void>>()
  readonly purges: Purge[] = []
  readonly wrong: string[] = []
  /** What somebody has waited for there has come to nothing: all ask for themselves then, as often as others do, until all is settled. */
  readonly disturbed = new Set<Path>()
  fetches = 0
  hits = 0

  constructor(
    readonly time: { now: number },
    readonly caches: readonly Cache[],
    readonly stores: readonly Store[],
  ) {
    for (const [by, store] of stores.entries())
      store.watch?.((what) => {
        const purge = this.purges.find(
          (one) => one.by !== by && !one.heard && isDeepStrictEqual(one.what, what),
        )
        if (purge === undefined)
          this.wrong.push(`${by} has heard of ${JSON.stringify(what)}, which nobody has purged`)
        else {
          purge.heard = true
          this.#told(purge)
        }
      })
  }

  /** From then on nothing older is right: here at once, there when it is known of as well. */
  #told(purge: Purge): void {
    if (!purge.done) return
    for (const [path, version] of purge.least)
      for (const by of purge.heard ? [0, 1] : [purge.by])
        this.least[by]?.set(path, Math.max(version, this.least[by].get(path) ?? 0))
  }

  #begin(by: number, what: PurgeKey, path: Path | undefined): Purge {
    const least = new Map([...this.version].filter(([one]) => path === undefined || one === path))
    const purge: Purge = { by, what, least, done: false, heard: false }
    this.purges.push(purge)
    // By a tag each fetch without a head yet may be meant.
    for (const one of what.tag === undefined ? least.keys() : paths) this.disturbed.add(one)
    return purge
  }

  purge(by: number, what: PurgeKey, path: Path | undefined, soft: boolean): void {
    const purge = this.#begin(by, what, path)
    const cache = this.caches[by] as Cache
    this.#watch(
      cache.purge(what, { soft }).then(() => {
        purge.done = true
        this.#told(purge)
      }),
    )
  }

  change(path: Path): void {
    this.version.set(path, (this.version.get(path) as number) + 1)
  }

  post(by: number, path: Path): void {
    this.change(path)
    const request = { method: 'POST', scheme: 'http', authority: 'a.example', path, headers: [], body: 'x' }
    let purge: Purge | undefined
    const fetcher: Fetcher<undefined> = () => {
      purge = this.#begin(by, { url: `${site}${path}` }, path)
      return { status: 204, headers: [], body: null }
    }
    this.#watch(
      Promise.resolve((this.caches[by] as Cache).handle(request, fetcher)).then(() => {
        if (purge === undefined) return
        purge.done = true
        this.#told(purge)
      }),
    )
  }

  ask(by: number, path: Path, kind: string): Promise<string | undefined> {
    const least = this.least[by]?.get(path) as number
    const request = {
      method: 'GET',
      scheme: 'http',
      authority: 'a.example',
      path,
      headers: ['X-Kind', kind],
      body: null,
    }
    const done = (async () => {
      let reply: Reply
      let text: string
      try {
        reply = await (this.caches[by] as Cache).handle(request, this.#fetcher(by, path), kind)
        text = await textOf(reply.body)
      } catch {
        // A fetch that has failed, or a body that has broken off, which nobody takes for a whole one.
        return undefined
      }
      const [what, whose, version] = text.split(' ')
      const about = `${path} for ${kind} at ${by}: ${reply.status} ${text.slice(0, 20)}, ${reply.headers.at(-1)}`
      if (reply.status !== 200 || text !== bodyOf(path, path === '/varies' ? kind : 'any', Number(version)))
        this.wrong.push(`${about} is not what the target makes (${what} ${whose})`)
      if (Number(version) < least) this.wrong.push(`${about} is older than a purge of version ${least}`)
      if (reply.headers.at(-1)?.includes('; hit') === true) this.hits++
      return text
    })()
    this.#watch(done)
    return done
  }

  #watch(done: Promise<unknown>): void {
    const over = done.then(
      () => void this.asks.delete(over),
      (error: unknown) => {
        this.asks.delete(over)
        this.wrong.push(`rejected: ${error}`)
      },
    )
    this.asks.add(over)
  }

  #fetcher(by: number, path: Path): Fetcher<string> {
    return (fetch, kind) => {
      this.fetches++
      const mine = path === '/varies' ? kind : 'any'
      const beside = this.open.find((one) => one.path === path && one.kind === mine && one.by !== by)
      // Of what varies it isn't known yet by which names: that fetch and one for a variant may be on their way at once.
      if (path === '/plain' && beside !== undefined && !this.disturbed.has(path))
        this.wrong.push(`${path} for ${mine} is fetched by both, though there is a lease`)
      return new Promise<Reply>((resolve, reject) => {
        this.open.push({
          by,
          path,
          kind: mine,
          fetch,
          answer: resolve,
          fail: reject,
          body: undefined,
          rest: '',
        })
      })
    }
  }

  /** The target answers as it is now. */
  answer(one: Open, how: 'whole' | 'head' | 'fails'): void {
    const { fetch, kind, path } = one
    if (how === 'fails') {
      this.#over(one)
      this.disturbed.add(one.path)
      return one.fail(new Error('the target is gone'))
    }
    const version = this.version.get(path) as number
    const etag = `"${path} ${kind} ${version}"`
    const of = (name: string) => fetch.headers[fetch.headers.indexOf(name) + 1]
    const headers = ['Cache-Control', 'max-age=60', 'ETag', etag, 'Cache-Tag', `all, ${path}`]
    if (path === '/varies') headers.push('Vary', 'X-Kind')
    if (fetch.headers.includes('If-None-Match') && of('If-None-Match') === etag) {
      this.#over(one)
      return one.answer({ status: 304, headers, body: null })
    }
    const text = bodyOf(path, kind, version)
    const from =
      fetch.headers.includes('Range') && of('If-Range') === etag ? Number(/\d+/.exec(of('Range') ?? '')) : 0
    const body = new WrittenBody()
    const rest = text.slice(from)
    const half = how === 'head' ? rest.slice(0, 50) : rest
    one.body = body
    one.rest = rest.slice(half.length)
    if (from > 0) headers.push('Content-Range', `bytes ${from}-${text.length - 1}/${text.length}`)
    one.answer({ status: from > 0 ? 206 : 200, headers, body })
    body.write(half)
    if (how === 'whole') this.end(one, 'whole')
  }

  end(one: Open, how: 'whole' | 'breaks'): void {
    this.#over(one)
    if (how === 'breaks') {
      this.disturbed.add(one.path)
      one.body?.break(new Error('the target has broken off'))
    } else {
      if (one.rest !== '') one.body?.write(one.rest)
      one.body?.done()
    }
  }

  #over(one: Open): void {
    this.open.splice(this.open.indexOf(one), 1)
  }

  /** Answers all that is open, until nobody waits for anything. */
  async drain(): Promise<void> {
    await until(async () => {
      for (const one of [...this.open])
        if (one.body === undefined) this.answer(one, 'whole')
        else this.end(one, 'whole')
      await turn()
      return this.asks.size === 0 && this.open.length === 0
    }, 'all requests to be answered')
    await until(() => this.purges.every(({ done, heard }) => done && heard), 'all purges to be heard of')
  }
}

withRedis('two caches over one Redis, as of two processes', (redis) => {
  it.each([
    ['redisStore', false],
    ['memoryStore over redisStore', true],
  ])('serve what the target makes, nothing older than a purge, and fetch once: %s', async (_name, tiered) => {
    const clients = await Promise.all([0, 1].map(() => redisClient(redis.server)))
    const subscribers = await Promise.all([0, 1].map(() => redisClient(redis.server)))
    let [hits, fetches] = [0, 0]
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
          const prefix = redis.prefix()
          const time = { now: Date.now() }
          const clock = () => time.now
          const stores = clients.map((client, i): Store => {
            const subscriber = subscribers[i] as (typeof subscribers)[number]
            const far = redisStore({ client, subscriber, prefix, timeout: '10s', chunk: 64 })
            return tiered ? tieredStore(memoryStore({ clock }), far) : far
          })
          const options = {
            clock,
            storeTimeout: '10s',
            lockWait: 0,
            lockAge: 0,
            staleIfDisconnected: 0,
          } as const
          const caches = stores.map((store) => createCache({ ...options, store }))
          // What is on its way into the store is there when its lease has ended, and without one after some round trips.
          const stored = async () => {
            const leases = async () => (await redis.client.keys(`${prefix}l:*`)).length
            await until(async () => (await leases()) === 0, 'the leases to end')
            for (let i = 0; i < 10; i++) await Promise.all(clients.map((client) => client.ping()))
          }
          const at = new Deployment(time, caches, stores)
          try {
            // Whoever has heard of nothing yet can't know what it has missed.
            await until(
              () => stores.every((store) => Number(store.mark?.()) > 0),
              'both to know of the purges so far',
            )
            // To ask for a mark before is to be told then that everything counts as purged.
            at.wrong.length = 0
            for (const one of steps) {
              await make(at, one, stored)
              for (let i = 0; i < one.rest; i++) await Promise.all(clients.map((client) => client.ping()))
            }
            await at.drain()
            await shared(at, tiered, stored)
            expect(at.wrong).toEqual([])
            hits += at.hits
            fetches += at.fetches
          } finally {
            for (const each of [...caches, ...stores]) await each.close()
          }
        }),
        { numRuns: Number(process.env['RUNS'] ?? 150) },
      )
    } finally {
      for (const each of [...clients, ...subscribers]) each.close()
    }
    expect(hits).toBeGreaterThan(fetches / 10)
  })
})

async function make(at: Deployment, one: Step, stored: () => Promise<void>): Promise<void> {
  const { by, path } = one
  switch (one.do) {
    case 'ask':
      void at.ask(by, path, one.kind)
      break
    case 'answer': {
      const waiting = at.open.filter(({ body }) => body === undefined)
      if (waiting.length > 0) at.answer(waiting[one.at % waiting.length] as Open, one.how)
      break
    }
    case 'end': {
      const coming = at.open.filter(({ body }) => body !== undefined)
      if (coming.length > 0) at.end(coming[one.at % coming.length] as Open, one.how)
      break
    }
    case 'change':
      at.change(path)
      break
    case 'purge': {
      if (one.changed) at.change(path)
      const what = {
        url: { url: `${site}${path}` },
        tag: { tag: path },
        all: { tag: 'all' },
        prefix: { prefix: `${site}/` },
      }[one.what]
      at.purge(by, what, one.what === 'url' || one.what === 'tag' ? path : undefined, one.soft)
      break
    }
    case 'post':
      at.post(by, path)
      break
    case 'pass':
      at.time.now += one.ms
      for (const each of paths) at.disturbed.add(each)
      break
    case 'settle':
      await at.drain()
      await stored()
      at.disturbed.clear()
  }
  await turn()
}

/**
 * What one has the other serves, once nothing else is going on.
 * @param near each has a store of its own in front: what is fresh there it serves, whatever another has fetched since
 */
async function shared(at: Deployment, near: boolean, stored: () => Promise<void>): Promise<void> {
  for (const path of paths)
    for (const kind of kinds) {
      await stored()
      const first = at.ask(0, path, kind)
      await at.drain()
      await stored()
      const { fetches } = at
      const other = at.ask(1, path, kind)
      await at.drain()
      if (!near && ((await first) !== (await other) || at.fetches !== fetches))
        at.wrong.push(`${path} for ${kind}: one has ${await first}, and the other fetches ${await other}`)
    }
}
