import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { type Acme, answerHttp01 } from '@sluice/acme'
import { chain, toListener, unhandled } from '@sluice/core'
import { alpnChallenges, certificates } from '@sluice/tls'
import type { Pebble } from './pebble.js'
import { within } from './until.js'

/** Servers where pebble looks, which answer by what an `Acme` says. */
export interface AcmeSite {
  /** The certificate that a client gets for a name; `undefined` where there is none. */
  served(name: string): Promise<{ serialNumber: string; subjectAltName: string } | undefined>
  /** From now on nobody is at the TLS port. */
  closeTls(): Promise<void>
  close(): Promise<void>
}

/** A plain server with the layer, and a TLS server by the store and the gate of `@sluice/tls`. */
export async function acmeSite(acme: Acme, { httpPort, tlsPort }: Pebble): Promise<AcmeSite> {
  const handler = chain()
    .use(answerHttp01(acme))
    .handle(() => unhandled)
  const web = createServer(toListener(handler))
  const store = certificates(acme, { fallback: 'none' })
  const tls = createTlsServer({ SNICallback: store.sniCallback })
  const undo = alpnChallenges(
    tls,
    (name) => acme.challengeCertificate(name),
    () => acme.hasChallenges(),
  )
  const sockets = new Set<{ destroy(): unknown }>()
  for (const server of [web, tls])
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
  tls.on('secureConnection', (socket: TLSSocket) => socket.on('error', () => {}).resume())
  tls.on('tlsClientError', () => {})
  await Promise.all([
    new Promise<void>((resolve) => web.listen(httpPort, '127.0.0.1', resolve)),
    new Promise<void>((resolve) => tls.listen(tlsPort, '127.0.0.1', resolve)),
  ])
  return {
    served: (name) =>
      within(
        new Promise((resolve) => {
          const socket = connect(
            { port: tlsPort, host: '127.0.0.1', servername: name, rejectUnauthorized: false },
            () => {
              const { serialNumber, subjectaltname = '' } = socket.getPeerCertificate()
              socket.destroy()
              resolve({ serialNumber, subjectAltName: subjectaltname })
            },
          )
          socket.on('error', () => resolve(undefined))
        }),
        `a handshake for ${name}`,
      ),
    closeTls: () => new Promise((resolve) => void tls.close(() => resolve())),
    async close() {
      undo()
      store[Symbol.dispose]()
      for (const socket of sockets) socket.destroy()
      await Promise.all([web, tls].map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

/** A folder of a test's own. */
export function acmeFolder(): { readonly path: string; close(): void } {
  const path = mkdtempSync(join(tmpdir(), 'acme-'))
  return { path, close: () => rmSync(path, { recursive: true, force: true }) }
}
