import { createServer, type Server } from 'node:http'
import { createServer as createHttp2Server, createSecureServer, type Http2Server } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { attach } from '@sluice/core'
import { testCertificate } from './certificate.js'
import { chainOf, type FrontKind, frontOf, listening, listeningTls } from './fronts.js'
import { listen } from './listen.js'

function attachedTo(
  name: string,
  kind: { http2: boolean; tls: boolean },
  make: () => Server | Http2Server,
): FrontKind {
  return {
    name: `a chain attached to ${name}`,
    ...kind,
    framework: false,
    transport: 'wire',
    carries: listening.carries,
    async start(given) {
      const built = chainOf(given)
      const server = make()
      attach(server, built.handler)
      const ca = kind.tls ? testCertificate()?.cert : undefined
      return frontOf(built, await listen(server, { http2: kind.http2, ca }))
    },
  }
}

const certificate = testCertificate()

/**
 * Chains attached to each kind of server. What a server tells by other events than `request`, a listener alone can't serve:
 * `Expect`, CONNECT, WebSocket over HTTP/2. Those with TLS need `openssl`.
 */
export const attachedFronts: readonly FrontKind[] = [
  listening,
  ...listeningTls,
  attachedTo('node:http', { http2: false, tls: false }, () => createServer()),
  attachedTo('node:http2 without TLS', { http2: true, tls: false }, () => createHttp2Server()),
  ...(certificate === undefined
    ? []
    : [
        attachedTo('node:https', { http2: false, tls: true }, () => createHttpsServer({ ...certificate })),
        attachedTo('node:http2 with TLS', { http2: true, tls: true }, () =>
          createSecureServer({ ...certificate, allowHTTP1: true }),
        ),
      ]),
]

/** Those that speak HTTP/2. */
export const attachedHttp2Fronts: readonly FrontKind[] = attachedFronts.filter(({ http2 }) => http2)

/** Those that raw bytes of HTTP/1.1 can be sent to. */
export const attachedRawFronts: readonly FrontKind[] = attachedFronts.filter(
  ({ http2, tls }) => !http2 && !tls,
)
