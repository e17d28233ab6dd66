import { X509Certificate } from 'node:crypto'
import { callOut } from './call-out.js'
import { certificateChannel, log } from './certificate-channel.js'

/** What has become of a certificate's staple. On the channel `sluice:tls:certificate`, with `kind: 'ocsp'`. */
export interface OcspEvent {
  /**
   * `'revoked'`: the authority has revoked the certificate. `'missing'`: it must be stapled (RFC 7633), and there is nothing to staple. `'failed'`: the
   * responder gave no good answer, and is asked again.
   */
  readonly status: 'good' | 'revoked' | 'failed' | 'missing'
  /** The names in the certificate. */
  readonly names: string
  /** SHA-256 of the certificate, in hexadecimal with colons. */
  readonly fingerprint: string
  readonly reason: string
}

/** Tells of it; what an operator has to do something about goes to `onFault`. Never throws. */
export function tellOcsp(
  certificate: Uint8Array,
  status: OcspEvent['status'],
  reason: string,
  onFault: (event: OcspEvent) => unknown,
): void {
  const grave = status === 'revoked' || status === 'missing'
  if (!grave && !log.enabled && !certificateChannel.hasSubscribers) return
  const event: OcspEvent = { status, ...identityOf(certificate), reason }
  log('OCSP status of %s is %s: %s', event.names, status, reason)
  if (certificateChannel.hasSubscribers) certificateChannel.publish({ kind: 'ocsp', ...event })
  if (grave) callOut('onFault', onFault, event)
}

/** What tells an operator who hasn't said how. */
export function warnOfOcsp({ status, names, fingerprint, reason }: OcspEvent): void {
  process.emitWarning(`OCSP status of ${names} (${fingerprint}) is ${status}: ${reason}`, 'SluiceWarning')
}

function identityOf(certificate: Uint8Array): Pick<OcspEvent, 'names' | 'fingerprint'> {
  try {
    const { subjectAltName, subject, fingerprint256 } = new X509Certificate(certificate)
    return { names: (subjectAltName ?? subject ?? '').slice(0, 200), fingerprint: fingerprint256 }
  } catch {
    return { names: 'a certificate that cannot be read', fingerprint: '' }
  }
}
