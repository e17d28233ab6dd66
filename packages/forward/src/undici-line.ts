import { turnTime } from '@sluice/core'
import { lookEvery, whyLeave } from './leaving-line.js'
import type { UndiciExchange } from './undici-exchange.js'

/**
 * Requests that wait in the queues of undici's pools, which nobody can be taken out of: one that goes is over for whoever has sent it, and undici
 * drops it when its turn comes.
 */
export class UndiciLine {
  private readonly waiting = new Set<UndiciExchange>()
  private timer: NodeJS.Timeout | undefined = undefined

  join(exchange: UndiciExchange): void {
    exchange.waitsSince = turnTime()
    this.waiting.add(exchange)
    this.lookLater()
  }

  private lookLater(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.look()
    }, lookEvery).unref()
  }

  private look(): void {
    const now = turnTime()
    for (const exchange of [...this.waiting]) {
      const error = exchange.waits ? whyLeave(exchange, now) : undefined
      if (exchange.waits && error === undefined) continue
      this.waiting.delete(exchange)
      if (error !== undefined) exchange.leave(error)
    }
    if (this.waiting.size > 0) this.lookLater()
  }
}
