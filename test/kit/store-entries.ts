import type { Entry, EntryHead, Store } from '@sluice/cache'
import { type BodyInit, toReadable } from '@sluice/core'

let made = 0

/** A head for an entry, like that of a small page; every one has an id of its own. */
export function entryHead(fields: Partial<EntryHead> = {}): EntryHead {
  const now = Date.now()
  return {
    id: `id${++made}`,
    primary: 'GET http://a.example/',
    url: 'http://a.example/',
    tags: [],
    status: 200,
    headers: ['Content-Type', 'text/plain', 'Cache-Control', 'max-age=60'],
    requestTime: now,
    responseTime: now,
    keepUntil: now + 3_600_000,
    ...fields,
  }
}

/** Bytes that differ from place to place and from seed to seed. */
export function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let state = (seed * 2_654_435_761 + 1) >>> 0
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

/** A body, read to its end. Rejects where it fails. */
export async function bodyBytes(body: BodyInit): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of toReadable(body)) parts.push(Buffer.from(part as Uint8Array))
  return Buffer.concat(parts)
}

/** Puts and commits an entry. */
export async function stored(
  store: Store,
  key: string,
  body: string | Buffer,
  head: EntryHead = entryHead(),
): Promise<EntryHead> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const writer = store.put(key, head)
  if (writer === undefined) throw new Error(`the store refused ${bytes.length} bytes`)
  for (let at = 0; at < bytes.length; at += 65_536) writer.write(bytes.subarray(at, at + 65_536))
  await writer.commit()
  return head
}

/** What a store gives for a key, body included. */
export interface Shown {
  readonly head: EntryHead
  readonly body: string
  readonly size: number
}

/** What stands at a key, read to its end and let go. */
export async function shown(store: Store, key: string): Promise<Shown | undefined> {
  const entry = await store.get(key)
  if (entry === undefined) return undefined
  const body = (await bodyBytes(entry.body())).toString('latin1')
  const { head, size } = entry
  entry.release?.()
  return { head, body, size }
}

/** The same of a store that answers without promises and has its bodies in memory. */
export function shownNow(store: Store, key: string): Shown | undefined {
  const entry = store.get(key) as Entry | undefined
  if (entry === undefined) return undefined
  const { head, size, bytes = Buffer.alloc(0) } = entry
  return { head, body: Buffer.from(bytes).toString('latin1'), size }
}

/** Told apart by `equals`: an assertion that fails would print megabytes. */
export function same(a: Buffer, b: Buffer): boolean {
  return a.equals(b)
}
