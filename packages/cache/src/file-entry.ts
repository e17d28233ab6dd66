import type { FileHandle } from 'node:fs/promises'
import type { BodyInit } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { FileBody } from './file-body.js'
import { blockAt, blockSize, crcSize, type FileHeader, openBlock } from './file-format.js'
import { readInto } from './file-system.js'
import type { Entry, EntryHead } from './store.js'

/** An open file, closed when the last who uses it lets go. It stays what it was when another one takes its name. */
export class SharedFile {
  private users = 1

  /**
   * @param closed called when it is being closed
   * @param broken called when a block isn't what was written, or can't be read
   */
  constructor(
    private readonly file: FileHandle,
    private readonly header: FileHeader,
    private readonly closed: () => void,
    private readonly broken: (why: Error) => void,
  ) {}

  /** One more uses it. `false`: it is closed. */
  hold(): boolean {
    if (this.users === 0) return false
    this.users++
    return true
  }

  letGo(): void {
    if (--this.users > 0) return
    // Waits for a read that is under way.
    this.file.close().then(this.closed, this.closed)
  }

  /**
   * The bytes of a block, in memory of their own.
   * @throws where they aren't what was written
   */
  async block(index: number): Promise<Buffer> {
    const { bodyAt, bodySize, nonce } = this.header
    const length = Math.min(blockSize, bodySize - index * blockSize)
    const block = Buffer.allocUnsafeSlow(crcSize + length)
    try {
      const had = await readInto(this.file, block, blockAt(bodyAt, index))
      const bytes = had === block.length ? openBlock(block, nonce, index) : undefined
      if (bytes === undefined) throw new Error(`block ${index} of a stored body is damaged`)
      return bytes
    } catch (error) {
      this.broken(error as Error)
      throw error
    }
  }
}

/** An entry whose body is read from its file as it is asked for. */
export class FileEntry implements Entry {
  private released = false
  readonly trailers?: HeaderList

  constructor(
    readonly head: EntryHead,
    readonly size: number,
    private readonly file: SharedFile,
    trailers: HeaderList | undefined,
  ) {
    if (trailers !== undefined) this.trailers = trailers
  }

  body(from = 0, to = this.size): BodyInit {
    const end = Math.min(to, this.size)
    return new FileBody(this.file, Math.min(from, end), end)
  }

  release(): void {
    if (this.released) return
    this.released = true
    this.file.letGo()
  }
}

/** An entry that has been read as a whole. */
export class WholeEntry implements Entry {
  readonly trailers?: HeaderList

  constructor(
    readonly head: EntryHead,
    readonly bytes: Uint8Array,
    trailers: HeaderList | undefined,
  ) {
    if (trailers !== undefined) this.trailers = trailers
  }

  get size(): number {
    return this.bytes.length
  }

  body(from?: number, to?: number): BodyInit {
    return from === undefined && to === undefined ? this.bytes : this.bytes.subarray(from, to)
  }
}
