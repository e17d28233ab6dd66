import type { EntryHead } from '@sluice/cache'
import type { HeaderList } from '@sluice/headers'
import { opened, sealed } from './seal.js'

/** What is kept of a body beside its bytes. */
export interface StoredBody {
  /** Id of the head it belongs to. */
  readonly id: string
  /** Name of its parts. */
  readonly name: string
  /** Bytes in all. */
  readonly size: number
  /** Bytes of a part, but the last. */
  readonly chunk: number
  /** Parts kept under keys of their own; 0 where it lies beside the head. */
  readonly parts: number
  /** Fields after the body. */
  readonly trailers?: HeaderList
}

/** What is read of an entry at once. */
export interface Stored {
  readonly head: EntryHead
  readonly body: StoredBody
  /** The bytes of a body that lies beside its head. */
  readonly bytes: Buffer | undefined
}

/** A head as it is kept under that key. */
export function sealHead(key: string, head: EntryHead): Buffer {
  return sealed([Buffer.from(JSON.stringify(head))], `h:${key}`)
}

/** What is kept of a body, as it is kept under that key. */
export function sealBody(key: string, body: StoredBody): Buffer {
  return sealed([Buffer.from(JSON.stringify(body))], `d:${key}`)
}

/** Part `index` of a body. */
export function sealPart(name: string, index: number, bytes: readonly Uint8Array[]): Buffer {
  return sealed(bytes, `${name}:${index}`)
}

/** The bytes of a part; `undefined` for one that is gone, or isn't what was stored. */
export function openPart(body: StoredBody, index: number, value: unknown): Buffer | undefined {
  const bytes = opened(value, `${body.name}:${index}`)
  return bytes?.length === Math.min(body.chunk, body.size - index * body.chunk) ? bytes : undefined
}

/** Reads the fields h, d, b and p of an entry; `undefined` where one is missing, or isn't what was stored. */
export function openEntry(key: string, fields: unknown): Stored | undefined {
  if (!Array.isArray(fields)) return undefined
  const head = parsed<EntryHead>(opened(fields[0], `h:${key}`))
  const body = parsed<StoredBody>(opened(fields[1], `d:${key}`))
  if (head === undefined || body === undefined || head.id !== body.id) return undefined
  const bytes = body.parts === 0 ? openPart(body, 0, fields[2]) : undefined
  if (body.parts === 0 && bytes === undefined) return undefined
  return { head: fields[3] === null ? head : { ...head, purged: true }, body, bytes }
}

// Its checksum was right, so it is what was written.
function parsed<T>(json: Buffer | undefined): T | undefined {
  return json === undefined ? undefined : (JSON.parse(json.toString()) as T)
}
