import type { HeaderList } from '@sluice/headers'
import type { StoredPart } from '../store.js'

/** A request, as far as caching looks at it. */
export interface PolicyRequest {
  readonly method: string
  readonly headers: Readonly<HeaderList>
  /** Absolute. Only for requests other than GET, whose answer may say that it is what a GET would get. */
  readonly url?: string
  /** It is for one user, as one with `Authorization` is. */
  readonly authorized?: boolean | undefined
}

/** A response, as far as caching looks at it. */
export interface PolicyResponse {
  readonly status: number
  readonly headers: Readonly<HeaderList>
}

/** A response with its times. The head of a store's entry is one. */
export interface StoredResponse extends PolicyResponse {
  /** When its request was sent, in ms since 1970. Where `headers` has no `Age` any more, earlier by what that said: see `withAge`. */
  readonly requestTime: number
  /** When its head came, in ms since 1970. */
  readonly responseTime: number
  /** Purged softly: stale, however young. */
  readonly purged?: true
  /** Set in one that holds a part of a representation. */
  readonly part?: StoredPart
}

/** What RFC 9111 leaves to whoever runs the cache. */
export interface PolicyOptions {
  /** Fields that speak to this cache alone (RFC 9213), in order of preference, in lower case. Default `['cdn-cache-control']`. */
  readonly targeted: readonly string[]
  /** Whether responses that say nothing of freshness are fresh by their age when they came (RFC 9111 section 4.2.2). Default `true`. */
  readonly heuristic: boolean
  /**
   * Responses with `Set-Cookie`: `explicit`, the default, stores those that say themselves how long they are fresh; `never` stores none;
   * `strip` stores them without the field. Under `explicit` a target that marks its pages cacheable by mistake gives one client's session to all.
   */
  readonly setCookie: 'explicit' | 'never' | 'strip'
  /** By status, for how many ms a response is fresh that doesn't say it itself. Default none. */
  readonly negative: Readonly<Record<number, number>>
  /** For how many ms a stale response may be served while it is asked for again, where it doesn't say so itself (RFC 5861). Default 0. */
  readonly staleWhileRevalidate: number
  /** For how many ms a stale response may be served in place of an error, where it doesn't say so itself (RFC 5861). Default 0. */
  readonly staleIfError: number
  /** For how many ms a stale response may be served while the origin can't be reached (RFC 9111 section 4.2.4). Default one hour. */
  readonly staleIfDisconnected: number
}

/** The defaults of {@link PolicyOptions}. */
export const policyDefaults: PolicyOptions = Object.freeze({
  targeted: Object.freeze(['cdn-cache-control']),
  heuristic: true,
  setCookie: 'explicit',
  negative: Object.freeze({}),
  staleWhileRevalidate: 0,
  staleIfError: 0,
  staleIfDisconnected: 60 * 60 * 1000,
})
