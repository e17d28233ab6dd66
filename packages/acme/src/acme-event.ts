import { channel } from 'node:diagnostics_channel'
import debug from 'debug'

const log = debug('sluice:acme')
const events = channel('sluice:acme')

/** What `sluice:acme` of `node:diagnostics_channel` tells. Times are ms since 1970. */
export type AcmeEvent =
  /** A certificate was found in the storage, which another process may have put there, and is served from now on. */
  | {
      readonly kind: 'loaded'
      readonly names: readonly string[]
      readonly keyType: string
      readonly notAfter: number
    }
  | {
      readonly kind: 'ordering'
      readonly names: readonly string[]
      readonly keyType: string
      readonly resumed: boolean
    }
  | {
      readonly kind: 'issued'
      readonly names: readonly string[]
      readonly keyType: string
      readonly notAfter: number
    }
  /** No certificate for now; what is there serves on. */
  | {
      readonly kind: 'failed'
      readonly names: readonly string[]
      readonly keyType: string
      readonly problem: string
      readonly failures: number
      readonly retryAt: number
    }
  /** The authority wants a renewal at another time; `explanation` is a page that says why (RFC 9773). */
  | {
      readonly kind: 'window'
      readonly names: readonly string[]
      readonly start: number
      readonly end: number
      readonly explanation?: string | undefined
    }
  /** The storage can't be used; told again when that has another reason. What is in memory serves on. */
  | { readonly kind: 'storage'; readonly problem: string }
  | { readonly kind: 'storage-works' }
  /** The authority has forgotten the account, or it has another key. */
  | { readonly kind: 'account-lost' | 'account-rolled-over' }
  | { readonly kind: 'revoked'; readonly names: readonly string[]; readonly keyType: string }
  /** A name for which nothing is ordered: not allowed, over a limit, or `allow` has failed. */
  | { readonly kind: 'refused'; readonly name: string; readonly reason: string }
  /** What was put up for an authority to find could not be taken away. */
  | { readonly kind: 'left-behind'; readonly what: string; readonly problem: string }

/** Tells whoever listens: the channel, `DEBUG=sluice:acme`, and a warning where somebody has to do something. */
export function tell(event: AcmeEvent): void {
  if (events.hasSubscribers) events.publish(event)
  if (log.enabled) log('%o', event)
  const warning = warningOf(event)
  if (warning !== undefined) process.emitWarning(`acme: ${warning}`, 'SluiceWarning')
}

function warningOf(event: AcmeEvent): string | undefined {
  const { kind } = event
  if (kind === 'failed')
    return `${event.names.join(', ')} (${event.keyType}): ${event.problem}; tried again at ${new Date(event.retryAt).toISOString()}`
  if (kind === 'storage') return `${event.problem}; what is in memory serves on`
  if (kind === 'account-lost') return 'the authority has forgotten the account: it gets a new one'
  if (kind === 'left-behind') return `${event.what} is left behind: ${event.problem}`
  if (kind === 'window' && event.explanation !== undefined)
    return `${event.names.join(', ')} is renewed by ${new Date(event.end).toISOString()}: ${event.explanation}`
  return undefined
}
