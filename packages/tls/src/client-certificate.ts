import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { type Context, type Middleware, ProxyError } from '@sluice/core'
import debug from 'debug'
import { withoutCertificateFields } from './certificate-fields.js'
import { type ClientCertificateOptions, resolveClientCertificate } from './client-certificate-options.js'
import { type ClientIdentity, identityOf, nobody, vouchedIdentity, whyNobody } from './client-identity.js'
import { hideVary } from './hide-vary.js'
import { presentedCertificate } from './presented-certificate.js'

const log = debug('sluice:tls')

/** What `clientCertificate` adds. */
export interface ClientCertificate {
  /** By which the client has proved who it is: verified, and in its time. */
  clientCertificate: X509Certificate | undefined
  /** Why there is none, for a log. */
  noCertificate?: string
}

/** What `forward` reads of the context: the list's fields of a certificate are this layer's, and stay. */
interface Judged extends Partial<ClientCertificate> {
  certificateFields?: boolean
}

const withoutTls = nobody('the connection has no TLS')

/**
 * Says who the client has proved to be by its certificate, and tells targets if asked to. The server has to ask for one (`client: 'optional'`
 * or `'required'` of `serverTls`, `requestCert` of Node), and verifies it: a certificate that it could not verify is none here, and
 * appears in no field. One that expires while its connection is open counts until then. A connection is read once; tunnels that are open stay.
 *
 * `Client-Cert`, `Client-Cert-Chain` and `X-Forwarded-Client-Cert` of a request are removed, but those of a proxy in `trust`. What such a
 * one says in `Client-Cert` is the client's certificate; its own, of its connection to here, never is. With `pass` its `Client-Cert` and chain go
 * on as they came (RFC 9440 section 2.4), and the certificate of its connection is added to its `X-Forwarded-Client-Cert`, as Envoy does.
 *
 * Inside of another one it takes what that one has found: a route may require what the site asks for, and `pass` and `trust` are the site's.
 *
 * With `required` everybody else gets 403: 401 would name a way to log in, 400 a request that is spelt wrongly. The reason is for the error and
 * `DEBUG=sluice:tls`; clients don't hear it. With `pass` a `Vary` of the answer that names such a field becomes `*` for the client.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function clientCertificate(
  options: ClientCertificateOptions & { required: true },
  path?: string,
): Middleware<{}, { clientCertificate: X509Certificate }>
export function clientCertificate(
  options?: ClientCertificateOptions,
  path?: string,
): Middleware<{}, ClientCertificate>
export function clientCertificate(
  options: ClientCertificateOptions = {},
  path = 'clientCertificate',
): Middleware<{}, ClientCertificate> {
  const settings = resolveClientCertificate(options, path)
  const { required, proxies, now } = settings
  const passes = settings.clientCert || settings.xfcc !== undefined
  const identities = new WeakMap<object, ClientIdentity>()

  const connected = ({ req, scheme, peer }: Context): ClientIdentity => {
    if (scheme === 'http') return withoutTls
    // On HTTP/2 each stream has a socket of its own, which stands for the session's.
    const connection = 'stream' in req ? (req.stream.session ?? req.socket) : req.socket
    let identity = identities.get(connection)
    if (identity === undefined) {
      identity = identityOf(presentedCertificate(req.socket as Partial<TLSSocket>), settings)
      identities.set(connection, identity)
      if (log.enabled && identity.why !== undefined) log('%s: %s', peer.address, identity.why)
    }
    return identity
  }

  const judge = (ctx: Context & Judged): void => {
    const { out, peer } = ctx
    const own = connected(ctx)
    const identity = proxies?.has(peer.address) === true ? vouchedIdentity(out.headers, own, settings) : own
    out.headers = withoutCertificateFields(out.headers)
    const why = whyNobody(identity, now())
    if (why === undefined) ctx.clientCertificate = identity.certificate
    else ctx.noCertificate = why
    // Of one that has run out nothing is passed.
    if (identity.fields.length === 0 || why !== identity.why) return
    out.headers.push(...identity.fields)
    ctx.certificateFields = true
  }

  return (next) => (ctx) => {
    const added = ctx as typeof ctx & ClientCertificate
    const within = added.clientCertificate !== undefined || added.noCertificate !== undefined
    if (!within) judge(ctx)
    if (required && added.clientCertificate === undefined)
      throw new ProxyError('http_request_denied', { message: added.noCertificate as string })
    if (within || !passes) return next(added)
    const reply = next(added)
    return reply instanceof Promise ? reply.then(hideVary) : hideVary(reply)
  }
}
