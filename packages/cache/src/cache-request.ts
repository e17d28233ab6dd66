import type { BodyInit, Reply } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

/** A request, as a cache sees it. An `Outbound` with scheme and authority beside it is one. */
export interface CacheRequest {
  readonly method: string
  readonly scheme: string
  /** Host and port that the client asked for. */
  readonly authority: string
  /** The request-target: path and query, as they came. */
  readonly path: string
  readonly headers: HeaderList
  readonly body?: BodyInit
  /** What else `fetch` tells the target of where the request goes, another host say: it may answer by that, so it is part of the key. */
  readonly also?: string | undefined
  /** Who asks, where `fetch` may tell the target so in `X-Forwarded-For` or `Forwarded`: what varies on these is chosen by it, and by what stands there in `headers`. */
  readonly caller?: string | undefined
  /** It was let in for who has made it, though it may have no `Authorization` any more: it is treated as if it had one (RFC 9111 section 3.5). */
  readonly authorized?: boolean | undefined
}

/** What a cache wants fetched. */
export interface CacheFetch {
  /** GET, or the method of the request that is passed on. */
  readonly method: string
  /** The fields to send. Of a shared fetch they are a list of its own; of one that is passed on, the request's own. */
  readonly headers: HeaderList
  /** Others may wait for the answer, or nobody: it must be bound to no client. */
  readonly shared: boolean
  /** The client that has asked still waits for it, and may hear informational responses (1xx) on the way. */
  readonly inform: boolean
}

/**
 * Fetches what the cache doesn't have. What it throws, whoever asked gets, unless something stale may be served instead.
 * @param arg what `handle` was given: so one function serves all requests
 */
export type Fetcher<T> = (fetch: CacheFetch, arg: T) => Reply | Promise<Reply>

/**
 * Makes of what `fetch` has thrown, where nothing else can be served, what is thrown to whoever asked: whoever makes an answer of that is to
 * give it these fields.
 * @param fields what the cache has done, as `Cache-Status` and the like
 */
export type ErrorMaker = (error: unknown, fields: HeaderList) => unknown

/**
 * Calls `fn` once whoever has asked waits no more; at once if that was before. It may call it after the answer as well.
 * @param arg what `handle` was given
 */
export type Leaving<T> = (arg: T, fn: () => void) => void
