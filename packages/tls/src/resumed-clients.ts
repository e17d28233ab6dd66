import type { Server, TLSSocket } from 'node:tls'
import debug from 'debug'
import type { ClientMode } from './client-trust.js'

const log = debug('sluice:tls')

/**
 * Looks again at the client of a resumed session, before anybody else hears of the connection: OpenSSL believes what it verified when
 * the session was made, some minutes ago.
 * Whether an authority or a revocation list has changed since then is a matter of ticket keys (`policyOf`); here it is the time.
 * @returns the undo
 */
export function checkResumedClients(
  server: Server,
  mode: Exclude<ClientMode, 'none'>,
  now: () => number,
): () => void {
  const own = server.rawListeners('secureConnection') as ((socket: TLSSocket) => void)[]
  server.removeAllListeners('secureConnection')
  const check = (socket: TLSSocket): void => {
    if (socket.isSessionReused()) {
      const why = faultOf(socket, now())
      if (why !== undefined && mode === 'required') {
        if (log.enabled) log('resumed session of %s refused: %s', socket.remoteAddress, why)
        // No error: nobody listens for one yet.
        socket.destroy()
        return
      }
      if (why !== undefined) distrust(socket, why)
    }
    for (const listener of own) listener.call(server, socket)
  }
  server.on('secureConnection', check)
  return () => {
    server.off('secureConnection', check)
    for (const listener of own.reverse()) server.prependListener('secureConnection', listener)
  }
}

/** Why the certificate of a resumed session isn't good now. */
function faultOf(socket: TLSSocket, now: number): string | undefined {
  const certificate = socket.getPeerX509Certificate()
  // Up to Node 22 a session of TLS 1.3 that was made without a certificate counts as verified when it is resumed.
  if (certificate === undefined) return 'UNABLE_TO_GET_ISSUER_CERT'
  if (now > Date.parse(certificate.validTo)) return 'CERT_HAS_EXPIRED'
  return undefined
}

function distrust(socket: TLSSocket, why: string): void {
  const told: { authorized: boolean; authorizationError: unknown } = socket
  // What was wrong before is the better reason.
  if (!told.authorized) return
  told.authorized = false
  told.authorizationError = why
}
