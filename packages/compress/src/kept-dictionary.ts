import { type Body, RelayBody, type Spent } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { DictionaryWriter } from './dictionary-store.js'

/** A body whose bytes are kept as a dictionary while somebody takes it, at the taker's pace. Who stops before its end keeps nothing. */
export class KeptDictionary extends RelayBody {
  constructor(
    source: Body,
    private readonly writer: DictionaryWriter,
  ) {
    super(source)
  }

  protected override stop(why: Error): void {
    this.writer.abort()
    super.stop(why)
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    // The client comes first: what it is given is on its way while the bytes are hashed.
    const room = this.push(chunk, this.writer.open ? undefined : spent)
    this.writer.write(chunk)
    return room
  }

  end(trailers?: HeaderList): void {
    this.finish(trailers)
    this.writer.commit()
  }

  override abort(error: Error): void {
    this.writer.abort()
    super.abort(error)
  }
}
