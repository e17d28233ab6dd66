import { tell } from './acme-event.js'
import type { DnsSettings } from './acme-options.js'
import type { AcmeSeams } from './acme-seams.js'
import { bounded } from './bounded.js'
import { messageOf } from './message-of.js'

/** The user's functions for DNS-01: each call settles in time. */
export class DnsRecords {
  constructor(
    private readonly settings: DnsSettings,
    private readonly after: AcmeSeams['after'],
  ) {}

  /** @throws Error that names the record. One that is written when nobody waits for it any more is removed again. */
  set(domain: string, value: string): Promise<void> {
    return this.call('set', domain, value, () => {
      this.remove(domain, value).catch((error: unknown) =>
        tell({
          kind: 'left-behind',
          what: `a record of ${domain} that came late`,
          problem: messageOf(error),
        }),
      )
    })
  }

  /** @throws Error that names the record */
  remove(domain: string, value: string): Promise<void> {
    return this.call('remove', domain, value)
  }

  /** Until what was set is seen everywhere, or nobody waits for it any more. */
  seen(left: AbortSignal): Promise<void> {
    const { wait } = this.settings
    if (wait === 0 || left.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const go = (): void => {
        cancel()
        left.removeEventListener('abort', go)
        resolve()
      }
      const cancel = this.after(wait, go)
      left.addEventListener('abort', go)
    })
  }

  private async call(
    what: 'set' | 'remove',
    domain: string,
    value: string,
    late?: () => void,
  ): Promise<void> {
    const name = recordName(domain)
    try {
      await bounded<unknown>(() => this.settings[what](name, value), this.settings.timeout, this.after, late)
    } catch (error) {
      throw new Error(`dns.${what} of ${name}: ${messageOf(error)}`, { cause: error })
    }
  }
}

/** Where the record of a name stands (RFC 8555 section 8.4); that of a wildcard stands beside it. */
function recordName(domain: string): string {
  return `_acme-challenge.${domain}`
}
