import type { BudgetSettings } from './server-guard-options.js'

/** Tokens: so many at first, and `rate` more in each second, up to as many as at first. */
export class Budget {
  #left: number
  #at: number

  constructor(
    private readonly settings: BudgetSettings,
    now: number,
  ) {
    this.#left = settings.burst
    this.#at = now
  }

  /** Takes one. @returns whether there was one */
  spend(now: number): boolean {
    const { burst, rate } = this.settings
    const left = Math.min(burst, this.#left + (Math.max(0, now - this.#at) / 1_000) * rate)
    this.#at = now
    this.#left = Math.max(0, left - 1)
    return left >= 1
  }
}
