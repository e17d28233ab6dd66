import type { Entry, EntryHead, PurgeKey, Store } from '@sluice/cache'
import { storeSuite } from './store-suite.js'

/** The least that the contract asks for. */
function mapStore(maxSize: number, maxEntry: number): Store & { used(): number } {
  const entries = new Map<string, Entry & { bytes: Buffer }>()
  const open = new Set<{ head: EntryHead; doomed: boolean }>()
  let closed = false
  const matches = ({ url, tag, prefix }: PurgeKey, head: EntryHead): boolean => {
    if (url !== undefined) return head.url === url
    if (tag !== undefined) return head.tags.includes(tag)
    return prefix !== undefined && head.url.startsWith(prefix)
  }
  const entryOf = (head: EntryHead, bytes: Buffer, trailers?: string[]): Entry & { bytes: Buffer } => ({
    head,
    size: bytes.length,
    bytes,
    ...(trailers && { trailers }),
    body: (from, to) => bytes.subarray(from, to),
  })
  const used = (): number => [...entries.values()].reduce((sum, { size }) => sum + size, 0)
  return {
    used,
    get: (key) => entries.get(key),
    put(key, head) {
      if (closed || (head.length ?? 0) > maxEntry) return undefined
      const parts: Uint8Array[] = []
      const writer = { head, doomed: false, size: 0 }
      open.add(writer)
      return {
        write(chunk) {
          writer.size += chunk.length
          parts.push(chunk)
          return writer.size <= maxEntry
        },
        commit(trailers) {
          if (!open.delete(writer) || writer.doomed || closed || writer.size > maxEntry) return
          entries.delete(key)
          entries.set(key, entryOf(head, Buffer.concat(parts), trailers))
          for (const oldest of entries.keys()) if (used() > maxSize) entries.delete(oldest)
        },
        abort: () => void open.delete(writer),
      }
    },
    touch(key, head) {
      const entry = entries.get(key)
      if (entry?.head.id === head.id) entries.set(key, entryOf(head, entry.bytes, entry.trailers))
    },
    delete: (key) => void entries.delete(key),
    async purge(what, soft) {
      let count = 0
      for (const [key, { head, bytes, trailers }] of entries) {
        if (!matches(what, head)) continue
        count++
        if (soft) entries.set(key, entryOf({ ...head, purged: true }, bytes, trailers))
        else entries.delete(key)
      }
      for (const writer of open) writer.doomed ||= matches(what, writer.head)
      return count
    },
    async close() {
      closed = true
      entries.clear()
    },
  }
}

storeSuite(
  'a map',
  async ({ maxSize, maxEntry }) => {
    const store = mapStore(maxSize, maxEntry)
    return { store, used: store.used }
  },
  { sync: true },
)
