import type { CacheOptions } from '@sluice/cache'
import type { Answer, Ask, HttpClient } from './client.js'
import type { Front, FrontKind, FrontOptions } from './fronts.js'
import { type Origin, type OriginHandler, originServer } from './origin-server.js'
import type { Closable } from './owner.js'
import { value } from './raw-request.js'

/** When the time of {@link CachedSite} begins: whole seconds, so that an `Age` is exact. */
export const noon: number = Date.UTC(2026, 0, 1, 12)

/** A proxy with a cache, in front of an origin, in a time that the test sets. */
export interface CachedSite {
  readonly origin: Origin
  readonly front: Front
  readonly client: HttpClient
  /** Milliseconds since 1970 for the cache. */
  now: number
  /** The absolute URL that clients know a path by. */
  url(path?: string): string
  ask(ask?: Ask | string): Promise<Answer>
  purge(what: { url?: string; tag?: string; prefix?: string }, options?: { soft?: boolean }): Promise<number>
}

/** Starts one. What is set of `more` goes to the front. */
export async function cachedSite(
  own: <T extends Closable>(thing: T) => T,
  kind: FrontKind,
  handler: OriginHandler,
  options: CacheOptions = {},
  more: Partial<FrontOptions> = {},
): Promise<CachedSite> {
  const origin = own(await originServer(handler))
  const time = { now: noon }
  const clock = (): number => time.now
  const front = own(await kind.start({ targets: origin.url, ...more, cache: { clock, ...options } }))
  return {
    origin,
    front,
    client: front.client,
    get now() {
      return time.now
    },
    set now(now) {
      time.now = now
    },
    url: (path = '/') => `${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}${path}`,
    ask: (ask = {}) => front.client.ask(typeof ask === 'string' ? { path: ask } : ask),
    purge: (what, how) => front.cache?.purge(what, how) as Promise<number>,
  }
}

/** The fields of an answer that is made at noon and fresh for a minute. */
export const minute: readonly string[] = ['Date', new Date(noon).toUTCString(), 'Cache-Control', 'max-age=60']

/** Answers each request with its number as the body, whatever is asked. */
export function numbered(fields: readonly string[] = minute): OriginHandler {
  let count = 0
  return (_req, res) => {
    const body = `answer ${++count}`
    res.writeHead(200, [...fields, 'Content-Length', String(body.length)]).end(body)
  }
}

/** `Cache-Status` of an answer. */
export const statusOf = ({ headers }: { headers: readonly string[] }): string | undefined =>
  value(headers, 'cache-status')
