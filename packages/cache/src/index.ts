export type { KeyOptions, KeyQueryOptions } from './key-options.js'
export * as policy from './policy/index.js'
export type { Entry, EntryHead, EntryWriter, PurgeKey, Store, StoredPart } from './store.js'
