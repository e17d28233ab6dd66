import type { FileHandle } from 'node:fs/promises'
import type { HeaderList } from '@sluice/headers'
import type { FileFolder } from './file-folder.js'
import {
  blockAt,
  blockSize,
  blocksOf,
  crcSize,
  encodeHeader,
  encodeTrailers,
  headAtMost,
  headerSize,
  roomFor,
  sealBlock,
  textCrc,
  trailersAt,
} from './file-format.js'
import { writeAll } from './file-system.js'
import type { EntryHead, EntryWriter } from './store.js'

/** What a writer needs of its store. */
export interface WriterHost {
  readonly folder: FileFolder
  /** Bytes of a body, at most. */
  readonly maxEntry: number
  /** Takes memory for bytes that aren't written yet. `false`: too much is waiting. */
  reserve(bytes: number): boolean
  unreserve(bytes: number): void
  /** Gives the file its place, if the writer isn't doomed by then. */
  place(writer: FileWriter, name: string, length: number): Promise<void>
  /** What was to be kept under this name can't be: nothing is. */
  lost(hash: string): Promise<void>
  /** The writer is done; nobody needs to know of it any more. */
  over(writer: FileWriter): void
}

/**
 * Writes an entry into a file of its own, which gets its name when it is whole. A body of one block is kept in memory until then, a longer one
 * is written block by block. Nothing is flushed to the disk by force: what a power cut leaves behind has wrong checksums, or isn't there.
 */
export class FileWriter implements EntryWriter {
  /** A purge has met it, or it has failed, or the store is closing: it won't be kept. */
  doomed = false
  private ended = false
  private refused = false
  private size = 0
  /** The block that is being filled, room for its checksum first. */
  private block: Buffer = Buffer.alloc(crcSize)
  private filled = 0
  private blocks = 0
  /** Bytes taken that aren't written yet. */
  private reserved = 0
  private opened: { file: FileHandle; name: string } | undefined = undefined
  /** What has been asked of the file so far. */
  private work: Promise<void> | undefined = undefined
  private closing: Promise<void> | undefined = undefined
  private readonly bodyAt: number
  private readonly room: number

  constructor(
    private readonly host: WriterHost,
    readonly hash: string,
    readonly head: EntryHead,
    private readonly text: Buffer,
    private readonly nonce: number,
  ) {
    this.room = roomFor(text.length)
    this.bodyAt = headerSize + 2 * this.room
  }

  write(chunk: Uint8Array): boolean {
    if (this.doomed || this.ended) return false
    const { length } = chunk
    if (this.size + length > this.host.maxEntry || !this.host.reserve(length)) {
      this.refuse()
      return false
    }
    this.reserved += length
    this.size += length
    for (let at = 0; at < length; ) {
      // A full one waits for what follows: the last block is written at the end.
      if (this.filled === blockSize) {
        if (!this.flush()) return false
      }
      const part = chunk.subarray(at, at + blockSize - this.filled)
      this.grow(this.filled + part.length)
      this.block.set(part, crcSize + this.filled)
      this.filled += part.length
      at += part.length
    }
    return true
  }

  commit(trailers?: HeaderList): Promise<void> {
    if (!this.ended) {
      this.ended = true
      this.work = this.complete(this.work, trailers)
    } else if (this.refused) this.work = this.lose(this.work)
    return this.work ?? Promise.resolve()
  }

  abort(): void {
    this.doomed = true
    if (this.ended) return
    this.ended = true
    this.free()
    if (this.work === undefined) this.host.over(this)
    else this.work = this.work.then(() => this.cleanUp())
  }

  /** It can't be kept. */
  refuse(): void {
    this.refused = true
    this.doom()
  }

  /** It isn't to be kept, however far it has come. */
  doom(): void {
    this.abort()
  }

  /** Resolves when what has been asked of the file is done. */
  get settled(): Promise<void> | undefined {
    return this.work
  }

  /** Makes room for so many bytes in the block; no more than twice of what has come is held. */
  private grow(filled: number): void {
    const has = this.block.length - crcSize
    if (filled <= has) return
    const { length = 0 } = this.head
    const rest = length - this.blocks * blockSize
    const room = rest >= filled && rest <= 2 * filled ? rest : Math.max(filled, 2 * has)
    const next = Buffer.allocUnsafeSlow(crcSize + Math.min(room, blockSize))
    next.set(this.block.subarray(0, crcSize + this.filled))
    this.block = next
  }

  /** Sends the full block to the file. */
  private flush(): boolean {
    if (this.opened === undefined && this.work === undefined && !this.host.folder.writing.tryTake()) {
      this.refuse()
      return false
    }
    const { block } = this
    const index = this.blocks++
    this.block = Buffer.alloc(crcSize)
    this.filled = 0
    this.work = (this.work ?? this.open()).then(async () => {
      if (this.doomed) return
      try {
        sealBlock(block, this.nonce, index)
        await writeAll(this.file, block, blockAt(this.bodyAt, index))
        // Else all of it has been given back already.
        if (!this.doomed) this.unreserve(block.length - crcSize)
      } catch (error) {
        this.fail(error)
      }
    })
    return true
  }

  private async open(): Promise<void> {
    try {
      this.opened = await this.host.folder.create(this.hash)
    } catch (error) {
      this.host.folder.writing.give()
      this.fail(error)
    }
  }

  /** A failure on the way: what is written from now on is refused. */
  private fail(error: unknown): void {
    if (!this.doomed) this.host.folder.failed(error)
    this.refuse()
  }

  private get file(): FileHandle {
    return (this.opened as { file: FileHandle }).file
  }

  private async complete(before: Promise<void> | undefined, trailers: HeaderList | undefined): Promise<void> {
    try {
      await before
      if (!this.doomed) await this.finish(encodeTrailers(trailers))
    } catch (error) {
      this.fail(error)
    }
    await this.cleanUp()
    if (this.refused) await this.host.lost(this.hash)
  }

  /** What had its name before would pass for the newest. */
  private async lose(before: Promise<void> | undefined): Promise<void> {
    await before
    await this.host.lost(this.hash)
  }

  private async finish(trailers: Buffer): Promise<void> {
    const { nonce, bodyAt, room, size, text } = this
    if (trailers.length > headAtMost) return this.refuse()
    const beginning = Buffer.alloc(this.opened === undefined ? bodyAt : headerSize + text.length)
    const header = encodeHeader({
      nonce,
      bodyAt,
      bodySize: size,
      trailersLength: trailers.length,
      trailersCrc: textCrc(trailers, nonce),
      head: { at: headerSize, room },
      headLength: text.length,
      headCrc: textCrc(text, nonce),
      spare: { at: headerSize + room, room },
    })
    header.copy(beginning)
    text.copy(beginning, headerSize)
    const block = this.block.subarray(0, this.filled === 0 ? 0 : crcSize + this.filled)
    if (block.length > 0) sealBlock(block, nonce, this.blocks)
    const end = Buffer.concat([block, trailers])
    if (this.opened === undefined) {
      if (!(await this.host.folder.writing.take())) return this.refuse()
      await this.open()
      if (this.doomed) return
      await writeAll(this.file, Buffer.concat([beginning, end]), 0)
    } else {
      await writeAll(this.file, end, blockAt(bodyAt, this.blocks))
      // The header comes last: without it, nothing of the file counts.
      await writeAll(this.file, beginning, 0)
    }
    await this.close()
    const { name } = this.opened as unknown as { name: string }
    if (!this.doomed)
      await this.host.place(this, name, trailersAt({ bodyAt, bodySize: size }) + trailers.length)
  }

  private close(): Promise<void> {
    this.closing ??= this.file.close().finally(() => this.host.folder.writing.give())
    return this.closing
  }

  private async cleanUp(): Promise<void> {
    this.free()
    if (this.opened !== undefined) {
      await this.close().catch(() => {})
      if (this.doomed) await this.host.folder.remove(this.opened.name)
    }
    this.host.over(this)
  }

  private unreserve(bytes: number): void {
    this.reserved -= bytes
    this.host.unreserve(bytes)
  }

  /** Lets go of what isn't written yet. */
  private free(): void {
    this.unreserve(this.reserved)
    this.block = Buffer.alloc(0)
  }
}

/** How long the file of an entry will be that has no trailers. */
export function expectedLength(text: Buffer, bodySize: number): number {
  return headerSize + 2 * roomFor(text.length) + bodySize + blocksOf(bodySize) * crcSize
}
