import type { Fill } from './fill.js'
import type { Entry, EntryHead } from './store.js'

/** A response that is still coming, as an entry: its bodies wait for what isn't there yet. The size is unknown (NaN) where its head doesn't say. */
export function fillEntry(fill: Fill, head: EntryHead): Entry {
  return { head, size: fill.length ?? Number.NaN, body: (from, to) => fill.reader(from, to) }
}
