import { type Body, RelayBody, type Spent } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

const smallest = 1024

/** A body that begins to come before anybody takes it, and waits until it is whole, or so many bytes of it are there. */
export class BufferedBody extends RelayBody {
  /** Who looks for the client's body, to tell it to go on or to stop, finds it behind this one. */
  override readonly passes: Body
  /** What has come. Parts of a slow client are small, and each would keep a buffer of its own. */
  private kept: Uint8Array | undefined = undefined
  private size = 0
  private filled: ((error: Error | undefined) => void) | undefined = undefined

  /** @param most bytes that are waited for */
  constructor(
    source: Body,
    private readonly most: number,
  ) {
    super(source)
    this.passes = source
  }

  /**
   * Begins.
   * @throws its error, where it fails before it is whole or large enough
   */
  fill(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.filled = (error) => (error === undefined ? resolve() : reject(error))
      this.waiting = false
      this.resume()
    })
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    if (this.filled === undefined) return this.push(chunk, spent)
    const before = this.size
    this.size += chunk.length
    if (before === 0) this.kept = chunk
    else this.append(chunk, before)
    return this.size < this.most || this.settle()
  }

  end(trailers?: HeaderList): void {
    if (this.filled !== undefined) {
      // Behind trailers a body has to be in chunks (RFC 9112 section 7.1.2).
      if (trailers === undefined) (this as { length?: number }).length = this.size
      this.settle()
    }
    this.finish(trailers)
  }

  override abort(error: Error): void {
    this.settle(error)
    super.abort(error)
  }

  private append(chunk: Uint8Array, at: number): void {
    let kept = this.kept as Uint8Array
    if (this.size > kept.length) {
      const larger = new Uint8Array(Math.max(this.size, Math.min(2 * at, this.most), smallest))
      larger.set(kept.subarray(0, at))
      this.kept = kept = larger
    }
    kept.set(chunk, at)
  }

  /** @returns whether more may come at once */
  private settle(error?: Error): boolean {
    const { filled, kept, size } = this
    if (filled === undefined) return true
    this.filled = undefined
    this.kept = undefined
    const room =
      error !== undefined ||
      kept === undefined ||
      this.push(size === kept.length ? kept : kept.subarray(0, size))
    filled(error)
    return room
  }
}
