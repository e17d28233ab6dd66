import { callOut } from './call-out.js'
import { certificateChannel, log } from './certificate-channel.js'

/** Something is wrong with a certificate while others depend on it. Who is served is served on. */
export interface CertificateFault {
  /** The file, or the option's path. */
  readonly where: string
  /** What is wrong. It shows no key. */
  readonly error: Error
  /** The name that a provider was asked for. */
  readonly servername?: string
  /** Whether an older certificate is served in its place; otherwise the name has none. */
  readonly kept: boolean
}

/** Tells of a fault: by `debug('sluice:tls')`, on the channel `sluice:tls:certificate`, and to the user's function. */
export function tellFault(
  fault: CertificateFault,
  onFault: ((fault: CertificateFault) => void) | undefined,
): void {
  const { where, servername, error, kept } = fault
  if (log.enabled)
    log('%s%s: %s', kept ? 'the last good one is kept: ' : '', servername ?? where, error.message)
  if (certificateChannel.hasSubscribers)
    certificateChannel.publish({ kind: kept ? 'kept' : 'failed', ...fault })
  callOut('onFault', onFault, fault)
}
