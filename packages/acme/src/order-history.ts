const minute = 60_000
const hour = 3_600_000
const day = 24 * hour

/** Orders for one certificate in an hour, of all processes that share a storage: as many failures of a name as Let's Encrypt takes. */
export const ordersAnHour = 5

/** The longest that a server's `Retry-After` is believed; Let's Encrypt's longest is a week. */
const longest = 8 * day

/** What became of the orders for one certificate of late. It is stored, so that a process that ends at once and starts again doesn't order in a loop. */
export interface OrderHistory {
  /** When they began, in ms since 1970; those of the last hour. */
  readonly orders: readonly number[]
  /** In a row. */
  readonly failures: number
  /** When the last one failed, and how long to stay away since then, in ms. */
  readonly failedAt: number
  readonly wait: number
  /** What the last failure said. */
  readonly problem?: string | undefined
}

/** What an order has failed with. */
export interface OrderFailure {
  readonly problem: string
  /** What the authority has said (`Retry-After`), in ms. */
  readonly retryAfterMs: number | undefined
}

/** Nothing has happened yet. */
export const noOrders: OrderHistory = { orders: [], failures: 0, failedAt: 0, wait: 0 }

/**
 * As it is to be read by a clock that may have been set. What lies in its future has just happened: it counts, for as long as it would
 * have, and not until the clock is there again.
 */
export function readHistory(history: OrderHistory, now: number): OrderHistory {
  const { failedAt, orders, wait } = history
  return {
    ...history,
    orders: orders.map((at) => Math.min(at, now)).filter((at) => now - at < hour),
    failedAt: Math.min(failedAt, now),
    wait: Math.min(wait, longest),
  }
}

/**
 * From when the next order may begin, in ms since 1970.
 *
 * max(failedAt + wait, when the last hour has fewer than five)
 */
export function nextOrder({ orders, failedAt, failures, wait }: OrderHistory): number {
  const full = orders.length < ordersAnHour ? 0 : (orders.at(-ordersAnHour) as number) + hour
  return Math.max(full, failures > 0 ? failedAt + wait : 0)
}

/** An order begins. */
export function ordered(history: OrderHistory, now: number): OrderHistory {
  return { ...history, orders: [...history.orders, now].slice(-ordersAnHour) }
}

/**
 * An order has failed.
 *
 * wait = 1 min * 2^(failures - 1), at most a day, less up to a fifth of it by chance; longer where the server has said so by `Retry-After`, never
 *        shorter: of something pending it says how soon to look again, which is seconds
 * @param random in [0, 1)
 */
export function failed(
  history: OrderHistory,
  now: number,
  { problem, retryAfterMs = 0 }: OrderFailure,
  random: number,
): OrderHistory {
  const failures = history.failures + 1
  const backoff = Math.min(minute * 2 ** Math.min(failures - 1, 20), day) * (1 - random / 5)
  return {
    ...history,
    failures,
    failedAt: now,
    wait: Math.min(Math.max(retryAfterMs, backoff), longest),
    problem,
  }
}

/** An order has given a certificate: failures are over, the count of the hour isn't. */
export function succeeded({ orders }: OrderHistory): OrderHistory {
  return { ...noOrders, orders }
}
