import { isDeepStrictEqual } from 'node:util'
import type { ManagerSeams } from './manager-seams.js'
import {
  failed,
  nextOrder,
  noOrders,
  type OrderFailure,
  type OrderHistory,
  ordered,
  ordersAnHour,
  readHistory,
  succeeded,
} from './order-history.js'
import type { Records } from './records.js'
import { SlidingCount } from './sliding-count.js'

const hour = 3_600_000

/** What has become of the orders for one certificate: as all processes with a storage know it, and by a clock that nobody sets. */
export class OrderLedger {
  private history: OrderHistory = noOrders
  private isSaved = true
  /** As it is stored. */
  private seen: OrderHistory = noOrders
  private isRead = false
  private readonly count: SlidingCount

  constructor(
    private readonly id: string,
    private readonly records: Records,
    private readonly seams: Pick<ManagerSeams, 'elapsed' | 'now' | 'random'>,
  ) {
    this.count = new SlidingCount(ordersAnHour, hour, seams.elapsed)
  }

  /** In a row. */
  get failures(): number {
    return this.history.failures
  }

  /** What the last failure said. */
  get problem(): string | undefined {
    return this.history.problem
  }

  /** From when the next order may begin, in ms since 1970. */
  get next(): number {
    return nextOrder(this.history)
  }

  /** How long until the next order may begin, in ms. */
  get wait(): number {
    const now = this.seams.now()
    this.history = readHistory(this.history, now)
    return Math.max(nextOrder(this.history) - now, this.count.wait)
  }

  /** Takes what others have stored, or stores what could not be. */
  async read(): Promise<void> {
    if (!this.isSaved) return this.save()
    const now = this.seams.now()
    const history = await this.records.history(this.id)
    // Orders of others count by a clock that nobody sets, too; at a start those of the last hour, as far as the clock knows them.
    for (const at of history.orders)
      if (!this.seen.orders.includes(at) && (this.isRead || now - at < hour)) this.count.note()
    this.isRead = true
    // What was read before is known by the clock as it was then: read again, a failure in the future would be one of now each time.
    if (!isDeepStrictEqual(history, this.seen)) this.history = readHistory(history, now)
    this.seen = history
  }

  /** An order begins: nobody may hear of it before that is stored. */
  async begin(): Promise<void> {
    this.count.note()
    this.history = ordered(this.history, this.seams.now())
    await this.save()
  }

  /** An order has given a certificate; `save` is to follow. */
  succeed(): void {
    this.history = succeeded(this.history)
    this.isSaved = false
  }

  /** An order has failed; `save` is to follow. */
  fail(failure: OrderFailure): void {
    const { now, random } = this.seams
    this.history = failed(this.history, now(), failure, random())
    this.isSaved = false
  }

  async save(): Promise<void> {
    this.isSaved = false
    const { history } = this
    await this.records.setHistory(this.id, history)
    // As it comes out again.
    this.seen = JSON.parse(JSON.stringify(history))
    this.isSaved = true
  }
}
