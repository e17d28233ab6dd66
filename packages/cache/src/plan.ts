import type { HeaderList } from '@sluice/headers'
import type { CacheKey } from './key.js'
import { type MissingRange, missingFor } from './policy/partial.js'
import type { Entry, EntryHead } from './store.js'

/** What a fetch begins with. */
export interface Plan {
  readonly key: CacheKey
  /** Key of the entry that it is for: the primary one, or that of a variant. */
  readonly entryKey: string
  /** What responses there are known to vary on. */
  readonly vary: readonly string[] | undefined
  /** What may still be good: it is asked for by its validators. */
  readonly stale?: EntryHead | undefined
  /** A part of what is wanted. Whoever began the fetch lets go of it, once that has landed. */
  readonly have?: Entry | undefined
  /** The range that is wanted, where there is nothing to serve it from, and what it is conditional on. */
  readonly range?: string | undefined
  readonly ifRange?: string | undefined
  /** The client that has asked waits for it. */
  readonly inform: boolean
  /** Whether others who share the store are asked first if one of them is fetching it. */
  readonly lease: boolean
}

/** No fields beside those of the request. */
export const noFields: Readonly<HeaderList> = []

/** The range that the client wants, or the rest of what is wanted whole. */
export function rangeFields(plan: Plan, rest: MissingRange | undefined): Readonly<HeaderList> {
  const { range, ifRange } = rest ?? plan
  if (range === undefined) return noFields
  return ifRange === undefined ? ['Range', range] : ['Range', range, 'If-Range', ifRange]
}

/** Without a strong validator what comes couldn't be put to what is there (RFC 9111 section 3.4). */
export function restOf({ headers, part }: EntryHead): MissingRange | undefined {
  const rest = part === undefined ? undefined : missingFor(part, headers)
  return rest?.ifRange === undefined ? undefined : rest
}
