import { type Body, RelayBody, type Spent } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

/** A body behind which some fields don't come: targets that merge trailers with the head would take them for the proxy's word. */
export class IdentityBody extends RelayBody {
  /** Who looks for the client's body, to tell it to go on or to stop, finds it behind this one. */
  override readonly passes: Body

  constructor(
    source: Body,
    private readonly clear: (fields: HeaderList) => void,
  ) {
    super(source)
    this.passes = source
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    return this.push(chunk, spent)
  }

  end(trailers?: HeaderList): void {
    const fields = trailers?.slice()
    if (fields !== undefined) this.clear(fields)
    this.finish(fields)
  }
}
