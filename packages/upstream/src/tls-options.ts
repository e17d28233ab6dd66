import type { TLSSocket } from 'node:tls'
import { checkPins } from './check-pins.js'
import { type SecuredOptions, securedOptions } from './secured-options.js'
import type { Target } from './target.js'

/**
 * What `tls.connect` takes for a target: server name, authorities, client certificate, checks. Host and port are left to the
 * caller. Certificates and keys are read once for each target, not for each handshake; of an `identity` once for each pair.
 *
 * With `verify: false` Node looks at no pin: on `secureConnect` a caller asks {@link pinFault} before it sends anything. A
 * session may be kept for this `secureContext` alone, since a resumed connection speaks for the certificate that the first one
 * has shown, and none that comes from a socket with a fault: on a resumed connection there is no certificate to look at, and neither
 * Node nor `pinFault` does.
 * @param alpn the protocols to offer, the one liked most first
 */
export function tlsOptions(target: Target, alpn: readonly string[]): SecuredOptions {
  return { ...securedOptions(target), ALPNProtocols: [...alpn] }
}

/**
 * What to keep connections to a target by. It is another object once the target's `identity` has another pair, and the old one is
 * retired then ({@link onRetire}); without an `identity` it is the target.
 */
export function connectionKey(target: Target): object {
  return target.tls?.identity === undefined ? target : securedOptions(target).secureContext
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
