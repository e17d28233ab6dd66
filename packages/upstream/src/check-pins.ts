import { createHash, type X509Certificate } from 'node:crypto'

/** The certificate's key is one of the pins, or an error. */
export function checkPins(
  pins: readonly string[],
  certificate: X509Certificate | undefined,
): Error | undefined {
  if (certificate === undefined) return pinError('the target has shown no certificate')
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
  const found = `sha256/${createHash('sha256').update(spki).digest('base64')}`
  return pins.includes(found)
    ? undefined
    : pinError(`the target's key is ${found}, which is none of the pins`)
}

function pinError(message: string): Error {
  return Object.assign(new Error(message), { code: 'ERR_TLS_CERT_PIN' })
}
