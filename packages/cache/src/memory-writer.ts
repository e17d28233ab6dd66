import type { HeaderList } from '@sluice/headers'
import type { Linked } from './linked-list.js'
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

/** Collects a body. Its bytes are copied once: as they come where the length is known, at the end where not. */
export class MemoryWriter implements EntryWriter, Linked<MemoryWriter> {
  next: MemoryWriter | undefined = undefined
  previous: MemoryWriter | undefined = undefined
  /** A purge has matched it. */
  doomed = false
  private size = 0
  private parts: Uint8Array[] | undefined = []
  private whole: Buffer | undefined = undefined
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
    const { parts, size } = this
    if (parts === undefined) return false
    const most = this.head.length ?? this.to.maxEntry
    this.size += chunk.length
    if (this.size > most || this.doomed) {
      this.abort()
      return false
    }
    if (chunk.length === 0) return true
    if (this.head.length !== undefined && most > smallBody) {
      this.whole ??= Buffer.allocUnsafeSlow(most)
      this.whole.set(chunk, size)
    } else this.add(parts, chunk)
    return true
  }

  private add(parts: Uint8Array[], chunk: Uint8Array): void {
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
    const { parts, size } = this
    if (parts === undefined) return
    const { length } = this.head
    // Less than was announced isn't the whole of it.
    if (this.doomed || (length !== undefined && length !== size)) return this.abort()
    const body = this.whole ?? joined(parts, size)
    this.abort()
    this.to.keep(this, body, trailers)
  }

  abort(): void {
    if (this.parts === undefined) return
    this.parts = undefined
    this.whole = undefined
    this.to.ended(this)
  }
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array | string {
  if (size === 0) return ''
  const small = size <= smallBody
  if (small && parts.length === 1) return textOf(parts[0] as Uint8Array)
  const whole = concat(parts, size)
  return small ? textOf(whole) : whole
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

function textOf({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1')
}
