import type { Forwarded } from '@sluice/headers'
import type { CacheRequest } from './cache-request.js'

/** What a cache did with a request, as `Cache-Status` tells it and `sluice:cache:decision` publishes it. */
export interface Decision {
  /** Served without asking the target. */
  readonly hit: boolean
  /** Why the target was asked. */
  readonly forwarded?: Forwarded | undefined
  /** The status of what the target answered, if it did. */
  readonly forwardedStatus?: number | undefined
  /** The answer is stored. */
  readonly stored?: boolean | undefined
  /** It waited for the fetch of another request. */
  readonly collapsed?: boolean | undefined
  /** Whole seconds for which it stays fresh; negative once it is stale. */
  readonly ttl?: number | undefined
  /** The name of what else has decided: why it isn't stored, why it may be served stale. */
  readonly detail?: string | undefined
}

/** A message of the channel `sluice:cache:decision`: one for each answer, and each error in place of one. */
export interface DecisionEvent extends Decision {
  /** As the cache has seen it. Not to be changed. */
  readonly request: CacheRequest
  /** Of the answer; of the error, where somebody further out is to make an answer of one. */
  readonly status: number
}
