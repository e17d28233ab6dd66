import { type Body, RelayBody, type Spent } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { EntryWriter } from './store.js'

/** A body that is written into a store as somebody takes it, at the taker's pace. Who stops before its end keeps nothing. */
export class CopiedBody extends RelayBody {
  /**
   * @param writer where the copy goes
   * @param mayKeep asked at the end, whether it is still to be kept
   * @param done called once, when the writer has been told
   */
  constructor(
    source: Body,
    private writer: EntryWriter | undefined,
    private readonly fields: HeaderList | undefined,
    private readonly mayKeep: () => boolean,
    private readonly done: () => void,
  ) {
    super(source)
  }

  protected override stop(why: Error): void {
    this.drop()
    super.stop(why)
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    const had = this.writer !== undefined
    if (this.writer !== undefined && !this.writer.write(chunk)) this.drop()
    // A writer may hold what it was given until it commits.
    return this.push(chunk, this.writer === undefined && !had ? spent : undefined)
  }

  end(trailers?: HeaderList): void {
    const { writer } = this
    if (writer !== undefined && this.mayKeep()) {
      this.writer = undefined
      void keep(writer, this.fields).then(this.done)
    } else this.drop()
    this.finish(trailers)
  }

  override abort(error: Error): void {
    this.drop()
    super.abort(error)
  }

  private drop(): void {
    const { writer } = this
    if (writer === undefined) return
    this.writer = undefined
    writer.abort()
    this.done()
  }
}

/** What goes wrong is nothing to whoever takes the body. */
async function keep(writer: EntryWriter, trailers: HeaderList | undefined): Promise<void> {
  try {
    await writer.commit(trailers)
  } catch {
    // It isn't kept.
  }
}
