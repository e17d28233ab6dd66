import type {
  Cache,
  CacheFetch,
  CacheOptions,
  CacheRequest,
  createCache,
  ErrorMaker,
  Fetcher,
} from '@sluice/cache'
import type { BodyInit, Reply } from '@sluice/core'
import { WrittenBody } from './attempt.js'
import { bodyBytes } from './store-entries.js'
import { TestStore } from './test-store.js'
import { type Deferred, deferred, until } from './until.js'

/** One fetch that a cache has asked for. */
export interface FetchCall {
  readonly fetch: CacheFetch
  /** Who has asked: what was given to `ask`. */
  readonly arg: string
  /** Lets the fetch have its answer. `Cache-Control: max-age=60` where no fields are given. */
  answer(status: number, headers?: string[], body?: BodyInit): void
  /** Answers with a body that the test writes. */
  open(status: number, headers?: string[]): WrittenBody
  fail(error: Error): void
}

/** What `ask` may be told beside a path. */
export interface AskOptions {
  readonly method?: string
  readonly headers?: string[]
  readonly body?: BodyInit
  readonly authority?: string
  /** Handed to the fetcher. */
  readonly who?: string
  readonly fetcher?: Fetcher<string>
  readonly failed?: ErrorMaker
}

export const fresh = ['Cache-Control', 'max-age=60']

/** A cache with a clock, a store and a fetcher in a test's hand. Whoever made it closes it, which finds entries that weren't let go of. */
export class CacheRig {
  now = Date.parse('2026-06-01T12:00:00Z')
  readonly store: TestStore
  readonly cache: Cache
  /** All that was fetched. */
  readonly calls: FetchCall[] = []
  /** Answers each fetch at once, where it is set. */
  origin: ((fetch: CacheFetch, arg: string) => Reply | Promise<Reply>) | undefined = undefined
  #seen = 0

  constructor(make: typeof createCache, options: CacheOptions = {}, store: TestStore = new TestStore()) {
    this.store = store
    this.cache = make({ store: this.store, clock: () => this.now, ...options })
  }

  /** The same, but for what `handle` itself gives: a reply without a promise, say. */
  handle(
    path: string,
    { authority, body, failed, fetcher, headers, method, who }: AskOptions = {},
  ): Reply | Promise<Reply> {
    const request: CacheRequest = {
      method: method ?? 'GET',
      scheme: 'http',
      authority: authority ?? 'a.example',
      path,
      headers: headers ?? [],
      body: body ?? null,
    }
    return this.cache.handle(request, fetcher ?? this.fetcher, who ?? '', failed)
  }

  async ask(path: string, options?: AskOptions): Promise<Reply> {
    return this.handle(path, options)
  }

  /** Asks, and reads the body; the target answers at once. */
  async read(path: string, options?: AskOptions): Promise<Answered> {
    return answered(await this.ask(path, options))
  }

  readonly fetcher: Fetcher<string> = (fetch, arg) => {
    const reply: Deferred<Reply> = deferred()
    const answer = (status: number, headers: string[] = fresh, body: BodyInit = null) =>
      reply.resolve({ status, headers, body })
    const call: FetchCall = {
      fetch,
      arg,
      answer,
      open(status, headers) {
        const body = new WrittenBody()
        answer(status, headers, body)
        return body
      },
      fail: (error) => reply.reject(error),
    }
    this.calls.push(call)
    return this.origin?.(fetch, arg) ?? reply.promise
  }

  /** The next fetch that no one has looked at yet. */
  async call(): Promise<FetchCall> {
    const index = this.#seen++
    return until(() => this.calls[index], `fetch ${index + 1}`)
  }

  /** @throws where entries weren't let go of, or twice */
  close(): void {
    const { released, releasedTwice, taken } = this.store
    if (taken !== released || releasedTwice > 0)
      throw new Error(`${taken} entries taken, ${released} let go of, ${releasedTwice} twice`)
  }
}

/** A reply, read to its end. */
export interface Answered {
  readonly status: number
  readonly headers: string[]
  readonly text: string
  /** The value of the first field of the name. */
  of(name: string): string | undefined
}

export async function answered(reply: Reply): Promise<Answered> {
  const { headers, status } = reply
  const text = reply.body === null ? '' : (await bodyBytes(reply.body)).toString()
  return {
    status,
    headers,
    text,
    of(name) {
      const index = headers.findIndex(
        (field, at) => at % 2 === 0 && field.toLowerCase() === name.toLowerCase(),
      )
      return index === -1 ? undefined : headers[index + 1]
    },
  }
}

/** Lets go on all that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
}
