import { type BodyInit, toBody, type Variants } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { CopiedBody } from './copied-body.js'
import type { Promotion, Promotions } from './promotions.js'
import type { Entry, EntryHead, EntryWriter, Store } from './store.js'

/** An entry of a far store whose body goes into the near one as it is read: the first that is taken whole. */
export class PromotedEntry implements Entry {
  readonly head: EntryHead
  readonly size: number
  readonly trailers?: HeaderList
  readonly variants?: Variants
  /** A body is on its way into the near store, or has been. */
  private copied = false

  constructor(
    private readonly entry: Entry,
    private readonly near: Store,
    private readonly promotion: Promotion,
    private readonly promotions: Promotions,
  ) {
    this.head = entry.head
    this.size = entry.size
    if (entry.trailers !== undefined) this.trailers = entry.trailers
    if (entry.variants !== undefined) this.variants = entry.variants
  }

  body(from = 0, to = this.size): BodyInit {
    const { promotion, promotions } = this
    const body = this.entry.body(from, to)
    if (from > 0 || to < this.size || this.copied || !promotions.claim(promotion)) return body
    this.copied = true
    const done = (): void => promotions.end(promotion, true)
    const writer = this.writer()
    const source = toBody(body)
    if (writer !== undefined && source !== null)
      return new CopiedBody(source, writer, this.trailers, () => !promotion.outdated, done)
    done()
    return body
  }

  release(): void {
    if (!this.copied) this.promotions.end(this.promotion)
    this.entry.release?.()
  }

  private writer(): EntryWriter | undefined {
    try {
      return this.near.put(this.promotion.key, this.head)
    } catch {
      // Whoever wants the body gets it all the same.
      return undefined
    }
  }
}
