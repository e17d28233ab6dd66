export type { Entry, EntryHead, EntryWriter, PurgeKey, Store, StoredPart } from './store.js'
