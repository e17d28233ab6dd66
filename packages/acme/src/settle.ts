import { AcmeError, type AcmePhase } from './acme-error.js'
import type { AcmeSeams } from './acme-seams.js'

const firstWait = 100
const longestWait = 5_000
/** ZeroSSL says a day of what is valid within seconds. */
const longestSaid = 20_000

/** One look at something that takes its time. */
export interface Look<T> {
  readonly value: T
  readonly settled: boolean
  readonly retryAfterMs?: number | undefined
}

/**
 * Looks until it is settled. Between looks it waits as long as the server says, up to 20 s, else 100 ms, then twice as long each time, up
 * to 5 s. Once `left` is aborted it doesn't wait: the next look tells.
 * @throws AcmeError where the waits come to more than `patience`. What the server says of looks says nothing of orders: it isn't in it
 */
export async function settle<T>(
  look: () => Promise<Look<T>>,
  what: {
    readonly phase: AcmePhase
    readonly url: string
    readonly patience: number
    readonly left: AbortSignal
  },
  { after }: AcmeSeams,
): Promise<T> {
  const { phase, url, patience, left } = what
  let waited = 0
  for (let own = firstWait; ; own = Math.min(own * 2, longestWait)) {
    const { value, settled, retryAfterMs } = await look()
    if (settled) return value
    const wait = Math.min(retryAfterMs || own, longestSaid)
    waited += wait
    if (waited > patience) {
      const said = `it is still pending after ${Math.round((waited - wait) / 1_000)} s of ${Math.round(patience / 1_000)}`
      throw new AcmeError({ code: 'unsettled', phase, url, what: said })
    }
    if (left.aborted) continue
    await new Promise<void>((resolve) => {
      const go = (): void => {
        cancel()
        left.removeEventListener('abort', go)
        resolve()
      }
      const cancel = after(wait, go)
      left.addEventListener('abort', go)
    })
  }
}
