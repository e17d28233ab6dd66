import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/** What a client has shown of itself in its handshake. */
export interface PresentedCertificate {
  /** Its certificate, if that was verified against the server's authorities. */
  readonly certificate?: X509Certificate
  /** Else why there is none, in words for a log. */
  readonly why?: string
}

/**
 * What the other end of a connection has shown. A session that is resumed has the certificate of the one that it resumes.
 *
 * `socket.authorized` is no proof by itself: Node 20 and 22 set it on resumed TLS 1.3 sessions of clients that have shown nothing.
 */
export function presentedCertificate(socket: Partial<TLSSocket>): PresentedCertificate {
  if (socket.encrypted !== true) return { why: 'the connection has no TLS' }
  const certificate = socket.getPeerX509Certificate?.()
  if (certificate === undefined) return { why: 'the client has sent no certificate' }
  if (socket.authorized !== true) {
    const name = JSON.stringify(certificate.subject?.replaceAll('\n', ', ') ?? '')
    return {
      why: `the certificate of the client could not be verified: ${socket.authorizationError} (${name})`,
    }
  }
  return { certificate }
}
