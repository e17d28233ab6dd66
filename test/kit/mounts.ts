import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server, createSecureServer, type Http2Server } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { InboundRequest, InboundResponse, Next } from '@sluice/core'
import { testCertificate } from './certificate.js'
import { listen, type Mounted } from './listen.js'
import { skipUnless } from './skip.js'

/** What a mount serves. */
export interface Served {
  listener(req: InboundRequest, res: InboundResponse, next?: Next): void
  upgrade?(req: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** One kind of server that a listener can stand in. */
export interface Mount {
  readonly name: string
  readonly http2: boolean
  readonly tls: boolean
  /** It stands in a framework, which sets fields of its own and has a `next`. */
  readonly framework: boolean
  serve(served: Served): Promise<Mounted>
}

type Listener = (req: IncomingMessage, res: ServerResponse) => void

function mount(
  name: string,
  kind: { http2?: boolean; tls?: boolean; framework?: boolean },
  make: (served: Served) => Server | Http2Server | Promise<Server>,
): Mount {
  const { http2 = false, tls = false, framework = false } = kind
  return {
    name,
    http2,
    tls,
    framework,
    serve: async (served) => {
      const server = await make(served)
      if (served.upgrade !== undefined && !http2) (server as Server).on('upgrade', served.upgrade)
      return listen(server, { http2, ca: tls ? testCertificate()?.cert : undefined })
    },
  }
}

const certificate = testCertificate()

// Frameworks are loaded where a test starts a server with one: most don't.
const plain: Mount[] = [
  mount('node:http', {}, ({ listener }) => createServer(listener)),
  mount('node:http2 without TLS', { http2: true }, ({ listener }) => createHttp2Server(listener)),
  mount('Express 5', { framework: true }, async ({ listener }) => {
    const { default: express } = await import('express')
    const app = express()
    app.use('/', listener)
    return createServer(app)
  }),
  mount('Connect', { framework: true }, async ({ listener }) => {
    const { default: connect } = await import('connect')
    const app = connect()
    app.use(listener as never)
    return createServer(app as Listener)
  }),
]

const secure: Mount[] = [
  mount('node:https', { tls: true }, ({ listener }) => createHttpsServer({ ...certificate }, listener)),
  mount('node:http2 with TLS', { http2: true, tls: true }, ({ listener }) =>
    createSecureServer({ ...certificate, allowHTTP1: true }, listener),
  ),
]

/** Every kind of server that this machine can start: those with TLS need `openssl`. */
export const mounts: readonly Mount[] = skipUnless(certificate, 'mounts with TLS: there is no openssl')
  ? plain
  : [...plain, ...secure]

/** A mount by its name. */
export function mountNamed(name: string): Mount {
  const found = mounts.find((each) => each.name === name)
  if (found === undefined) throw new Error(`no mount is named ${name}`)
  return found
}
