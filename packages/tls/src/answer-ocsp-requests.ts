import { X509Certificate } from 'node:crypto'
import type { Server } from 'node:tls'
import { isNamedSure } from './named-certificate.js'

type Done = (error: Error | null, response: Buffer | null) => void

/** What gives a staple, and never rejects. */
export type StapleOf = (certificate: Buffer, issuer: Buffer) => Promise<Buffer | undefined>

/**
 * Answers a server's `OCSPRequest`, which Node raises in full handshakes of clients that ask for a staple, when SNICallback is answered. It holds the handshake until it is answered.
 *
 * Node names the last certificate of the context that SNICallback gave, or else of the server's own. Where TLS chooses among several after that, for RSA and ECDSA, a
 * staple of the wrong one is an error to clients, and none isn't. So there is none: where `answerNamed` says that this one isn't sure, or where it says nothing and the server's own context has several.
 */
export function answerOcspRequests(server: Server, stapleOf: StapleOf): () => void {
  if (server.listenerCount('OCSPRequest') > 0)
    throw new TypeError(
      'ocspStapler: OCSPRequest of this server is answered already, and Node ends a connection that is answered twice',
    )
  const unsure = unsureOf(server)
  const answer = (certificate: Buffer, issuer: Buffer | null, done: Done): void => {
    // Nothing can be asked without the issuer. The server may have no certificate either, for a client that names nobody.
    if (issuer === null || !(isNamedSure() ?? unsure()?.equals(certificate) !== true)) return done(null, null)
    void stapleOf(certificate, issuer).then((staple) => done(null, staple ?? null))
  }
  server.on('OCSPRequest', answer)
  return () => void server.off('OCSPRequest', answer)
}

/** The certificate that may be named for another one, if there is one. The server's pairs may be replaced. */
function unsureOf(server: Server): () => Buffer | undefined {
  let seen: unknown
  let last: Buffer | undefined
  return () => {
    // As `tls.Server` keeps it for its own use, on every Node.
    const { cert } = server as { cert?: unknown }
    if (cert !== seen) {
      seen = cert
      last = Array.isArray(cert) && cert.length > 1 ? new X509Certificate(cert.at(-1)).raw : undefined
    }
    return last
  }
}
