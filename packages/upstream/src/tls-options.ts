import { createHash, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls'
import type { Target } from './target.js'

const prepared = new WeakMap<Target, ConnectionOptions>()

/**
 * What `tls.connect` takes for a target: server name, authorities, client certificate, checks. Host and port are left to the
 * caller. Certificates and keys are read once for each target, not for each handshake.
 *
 * With `verify: false` Node looks at no pin: on `secureConnect` a caller asks {@link pinFault} before it sends anything. A
 * session may be kept for this target alone, and none that comes from a socket with a fault: on a resumed connection there
 * is no certificate to look at, and neither Node nor `pinFault` does.
 * @param alpn the protocols to offer, the one liked most first
 */
export function tlsOptions(target: Target, alpn: readonly string[]): ConnectionOptions {
  let options = prepared.get(target)
  if (options === undefined) {
    options = prepare(target)
    prepared.set(target, options)
  }
  return { ...options, ALPNProtocols: [...alpn] }
}

/**
 * What speaks against a connected socket beyond what Node itself has checked: its certificate fits none of the pins of a target
 * with `verify: false`. A resumed session comes from a connection that has passed.
 */
export function pinFault(target: Target, socket: TLSSocket): Error | undefined {
  const { pin, verify = true } = target.tls ?? {}
  if (pin === undefined || verify || socket.isSessionReused()) return undefined
  return checkPins(pin, socket.getPeerX509Certificate())
}

function prepare({ url, tls = {} }: Target): ConnectionOptions {
  const { ca, cert, ciphers, key, passphrase, pfx, pin, secureProtocol, servername, verify = true } = tls
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  // A server name is no address and has no dot at its end (RFC 6066 section 3).
  const name = servername ?? (isIP(host) === 0 ? host.replace(/\.$/, '') : '')
  // By the name that was asked for, or else by where the URL leads; never by `Host`, which the client may have chosen.
  const expected = name === '' ? host : name
  return {
    servername: name,
    secureContext: createSecureContext({
      ca,
      cert,
      ciphers,
      key,
      passphrase,
      pfx,
      secureProtocol,
    } as SecureContextOptions),
    rejectUnauthorized: verify,
    checkServerIdentity: (_host, certificate) =>
      identityFault(expected, certificate) ??
      (pin === undefined ? undefined : checkPins(pin, new X509Certificate(certificate.raw))),
  }
}

/** Node 22.23 finds no IPv6 address in a certificate, whichever way it is written; OpenSSL itself does. */
function identityFault(expected: string, certificate: PeerCertificate): Error | undefined {
  if (isIP(expected) === 6 && new X509Certificate(certificate.raw).checkIP(expected) !== undefined)
    return undefined
  return checkServerIdentity(expected, certificate)
}

/** The certificate's key is one of the pins, or an error. */
function checkPins(pins: readonly string[], certificate: X509Certificate | undefined): Error | undefined {
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
