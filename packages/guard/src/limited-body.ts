import { type Body, ProxyError, RelayBody, type Spent } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

/** A body that fails with the first byte beyond a limit, and is never whole then; its source is cancelled. */
export class LimitedBody extends RelayBody {
  /** Who looks for the client's body, to tell it to go on or to stop, finds it behind this one. */
  override readonly passes: Body
  private left: number

  constructor(
    source: Body,
    private readonly most: number,
  ) {
    super(source)
    this.passes = source
    this.left = most
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    this.left -= chunk.length
    if (this.left >= 0) return this.push(chunk, spent)
    if (!this.ended) {
      const error = tooLarge('body-size', this.most)
      this.fail(error)
      this.source.cancel(error)
    }
    return false
  }

  end(trailers?: HeaderList): void {
    this.finish(trailers)
  }
}

/** The error of a body that is too large: told by its length, or found by its size. */
export function tooLarge(reason: 'body-length' | 'body-size', most: number): ProxyError {
  return new ProxyError('http_request_body_size', { reason, message: `a body of more than ${most} bytes` })
}
