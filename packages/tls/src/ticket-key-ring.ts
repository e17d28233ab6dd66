import { hkdfSync } from 'node:crypto'
import { PassingSecrets } from './passing-secrets.js'

/** A key of tickets, 16 bytes each: the name that stands in the ticket, HMAC-SHA-256's and AES-128-CBC's. */
export interface TicketKey {
  readonly name: Buffer
  readonly hmac: Buffer
  readonly aes: Buffer
}

/** Times in ms. */
export interface TicketKeySettings {
  /** Those of all periods, of which the first one seals, or one for each. */
  readonly secrets: readonly Buffer[] | PassingSecrets
  readonly rotate: number
  readonly keep: number
  readonly clock: () => number
}

/**
 * The keys of now, for one policy: key = HKDF-SHA-256(secret; policy, length of a period, number of the period since 1970).
 *
 *   period p seals;  p - keep … p - 1 still open;  p + 1 opens already, for a machine whose clock is ahead
 *
 * Derived once a period.
 */
export class TicketKeyRing {
  #period = Number.NaN
  #sealing!: TicketKey
  #opening = new Map<string, TicketKey>()

  constructor(
    private readonly settings: TicketKeySettings,
    private readonly policy: string,
  ) {}

  /** The key that seals now. */
  get sealing(): TicketKey {
    this.#turn()
    return this.#sealing
  }

  /** The key of a ticket, by the name in it; `undefined` if it is nobody's, or its time is over. */
  opening(name: Buffer): TicketKey | undefined {
    this.#turn()
    return this.#opening.get(name.toString('latin1'))
  }

  /** Milliseconds until another key seals. */
  get left(): number {
    const { rotate, clock } = this.settings
    return rotate - (((clock() % rotate) + rotate) % rotate)
  }

  #turn(): void {
    const { secrets, rotate, keep, clock } = this.settings
    const period = Math.floor(clock() / rotate)
    if (period === this.#period) return
    this.#period = period
    const passing = secrets instanceof PassingSecrets
    if (passing) secrets.keep(period - keep, period + 1)
    this.#opening = new Map()
    for (let each = period - keep; each <= period + 1; each++) {
      const keys = (passing ? [secrets.of(each)] : secrets).map((secret) =>
        derive(secret, this.policy, rotate, each),
      )
      if (each === period) this.#sealing = keys[0] as TicketKey
      for (const key of keys) this.#opening.set(key.name.toString('latin1'), key)
    }
  }
}

function derive(secret: Buffer, policy: string, rotate: number, period: number): TicketKey {
  const info = JSON.stringify(['sluice session ticket', policy, rotate, period])
  const bytes = Buffer.from(hkdfSync('sha256', secret, '', info, 48))
  return { name: bytes.subarray(0, 16), hmac: bytes.subarray(16, 32), aes: bytes.subarray(32) }
}
