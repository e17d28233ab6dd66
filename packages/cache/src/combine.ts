import { type BodyInit, discard, type Reply, toReadable } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { CacheSettings } from './cache-options.js'
import { joinedBody } from './joined-body.js'
import { combine, combinedHead, isWhole, mayCombine, type PartPiece, partOf } from './policy/partial.js'
import { storedFields } from './policy/storable.js'
import { tagsOf } from './policy/tags.js'
import type { Entry, EntryHead, EntryWriter, StoredPart } from './store.js'

/**
 * A stored part and the rest that has come, as the whole answer (RFC 9111 section 3.4).
 * @param bytes those of the stored part
 * @returns `undefined` where they aren't of one representation, or don't make the whole
 */
export function completed(head: EntryHead, bytes: Uint8Array, came: Reply): Reply | undefined {
  const part = partOf(came)
  if (head.part === undefined || part === undefined || !mayCombine(head, came)) return undefined
  const both = combine(head.part, part)
  if (both === undefined || !isWhole(both.part)) return undefined
  // What came is one stream: it can't be taken in two pieces.
  const bodies = both.take.map(({ of, from, to }) => (of === 'came' ? came.body : bytes.subarray(from, to)))
  // Asked for what is missing it may have sent what is there, and its size, which is all that was missing.
  if (!both.take.some(({ of }) => of === 'came')) discard(came)
  return { ...combinedHead(head, came, both.part), body: joinedBody(bodies, both.part.last + 1) }
}

/** A stored part that grows by one that comes. */
export interface Grown {
  readonly part: StoredPart
  readonly status: 200 | 206
  readonly headers: EntryHead['headers']
  readonly tags: EntryHead['tags']
  /** Stored bytes ahead of those that come, and behind them. */
  readonly before: Uint8Array | undefined
  readonly after: Uint8Array | undefined
}

/**
 * What a stored part and one that comes are together.
 * @param bytes those of the stored part
 * @param fields those of what comes that may be stored
 * @returns `undefined` where they can't be combined, or needn't
 */
export function grown(
  head: EntryHead,
  bytes: Uint8Array,
  came: Reply,
  fields: HeaderList,
  settings: CacheSettings,
): Grown | undefined {
  const part = partOf(came)
  if (head.part === undefined || part === undefined || !mayCombine(head, came)) return undefined
  const both = combine(head.part, part)
  if (both === undefined || both.take.length === 1) return undefined
  if (both.part.last - both.part.first + 1 > settings.maxEntry) return undefined
  const at = both.take.findIndex(({ of }) => of === 'came')
  const cut = (piece: PartPiece | undefined) => piece && bytes.subarray(piece.from, piece.to)
  const before = cut(at === 1 ? both.take[0] : undefined)
  const after = cut(both.take[at + 1])
  const together = combinedHead(head, { status: came.status, headers: fields }, both.part)
  // The stored one may name fields that are for one client alone, or tags, where what comes doesn't.
  const headers = storedFields(together, settings)
  const tags = tagsOf(headers)
  if (tags === undefined) return undefined
  return { part: both.part, status: together.status, headers, tags, before, after }
}

/** All that is stored of a part; `undefined` where it can't be read, or isn't as much as it is said to be. */
export async function bytesOf(entry: Entry): Promise<Uint8Array | undefined> {
  try {
    const bytes = entry.bytes ?? (await collect(entry.body()))
    const { first = 0, last = -1 } = entry.head.part ?? {}
    return bytes.length === last - first + 1 ? bytes : undefined
  } catch {
    return undefined
  }
}

async function collect(body: BodyInit): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  if (body !== null) for await (const chunk of toReadable(body)) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}

/** Writes the stored bytes around those that come: none before the first that comes, where what a store throws is heard. */
export class GrownWriter implements EntryWriter {
  readonly #to: EntryWriter
  readonly #after: Uint8Array | undefined
  #before: Uint8Array | undefined
  #keeps = true

  constructor(to: EntryWriter, before: Uint8Array | undefined, after: Uint8Array | undefined) {
    this.#to = to
    this.#before = before
    this.#after = after
  }

  write(chunk: Uint8Array): boolean {
    if (this.#keeps) this.#keeps = this.#put(this.#before) && this.#put(chunk)
    this.#before = undefined
    return this.#keeps
  }

  commit(): void | Promise<void> {
    if (this.#keeps && this.#put(this.#before) && this.#put(this.#after)) return this.#to.commit()
    this.#to.abort()
    // What isn't kept must not pass for it.
    throw new Error('the store has not taken all')
  }

  abort(): void {
    this.#to.abort()
  }

  #put(bytes: Uint8Array | undefined): boolean {
    return bytes === undefined || this.#to.write(bytes)
  }
}
