import { clientNetwork } from './client-network.js'

/** How many connections each client has. */
export class ConnectionCounts {
  readonly #counts = new Map<string, number>()

  /** @param limit for each; 0: none */
  constructor(private readonly limit: number) {}

  /** One more. @returns whom to give back to {@link leave} when it ends; `undefined`: that is one too many */
  enter(address: string): string | undefined {
    const network = clientNetwork(address)
    const count = this.#counts.get(network) ?? 0
    if (count >= this.limit) return undefined
    this.#counts.set(network, count + 1)
    return network
  }

  leave(network: string): void {
    const count = (this.#counts.get(network) ?? 0) - 1
    if (count > 0) this.#counts.set(network, count)
    else this.#counts.delete(network)
  }

  /** Clients that have any. */
  get size(): number {
    return this.#counts.size
  }
}
