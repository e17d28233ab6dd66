import type { Linked } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { EntryHead, EntryWriter } from './store.js'

/** Up to here a body is kept as a text: a buffer of its own would take 400 bytes beside it. */
const smallBody = 1024

const looseParts = 64

/** Where a {@link MemoryWriter} brings what is whole. */
export interface WriterTarget {
  readonly maxEntry: number
  /** The writer has ended. */
  ended(writer: MemoryWriter): void
  keep(writer: MemoryWriter, body: Uint8Array | string, trailers: HeaderList | undefined): void
}

/** Collects a body: while it is small as the text that is kept. Its bytes are copied once: as they come where the length is known, at the end where not. */
export class MemoryWriter implements EntryWriter, Linked<MemoryWriter> {
  next: MemoryWriter | undefined = undefined
  previous: MemoryWriter | undefined = undefined
  /** A purge has matched it. */
  doomed = false
  private open = true
  private size = 0
  private text = ''
  private whole: Buffer | undefined = undefined
  private parts: Uint8Array[] | undefined = undefined
  /** Parts since the last that were joined, and their bytes. */
  private loose = 0
  private looseSize = 0

  /** @param born what the store had counted when it was put */
  constructor(
    private readonly to: WriterTarget,
    readonly key: string,
    readonly head: EntryHead,
    readonly born: number,
  ) {}

  write(chunk: Uint8Array): boolean {
    if (!this.open) return false
    const { size } = this
    const { length } = this.head
    const most = length ?? this.to.maxEntry
    this.size += chunk.length
    if (this.size > most || this.doomed) {
      this.abort()
      return false
    }
    if (chunk.length === 0) return true
    if (length !== undefined && most > smallBody) {
      this.whole ??= Buffer.allocUnsafeSlow(most)
      this.whole.set(chunk, size)
    } else if (this.size > smallBody) this.add(chunk)
    // `join` makes a text of its own, where `+` would refer to both for as long as it is kept.
    else this.text = size === 0 ? textOf(chunk) : [this.text, textOf(chunk)].join('')
    return true
  }

  private add(chunk: Uint8Array): void {
    this.parts ??= this.text === '' ? [] : [Buffer.from(this.text, 'latin1')]
    const { parts } = this
    // A view of much more would hold all of that.
    parts.push(chunk.length * 4 < chunk.buffer.byteLength ? new Uint8Array(chunk) : chunk)
    this.looseSize += chunk.length
    if (++this.loose < looseParts) return
    // Many small parts take many times what is in them.
    if (this.looseSize < looseParts * 1024) parts.push(concat(parts.splice(-looseParts), this.looseSize))
    this.loose = 0
    this.looseSize = 0
  }

  commit(trailers?: HeaderList): void {
    if (!this.open) return
    const { parts, size, text, whole } = this
    const { length } = this.head
    this.abort()
    // Less than was announced isn't the whole of it.
    if (this.doomed || (length !== undefined && length !== size)) return
    this.to.keep(this, whole ?? (parts === undefined ? text : concat(parts, size)), trailers)
  }

  abort(): void {
    if (!this.open) return
    this.open = false
    this.whole = undefined
    this.parts = undefined
    this.text = ''
    this.to.ended(this)
  }
}

function concat(parts: readonly Uint8Array[], size: number): Uint8Array {
  const whole = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Its bytes as characters. */
function textOf(chunk: Uint8Array): string {
  const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
  return bytes.toString('latin1')
}
