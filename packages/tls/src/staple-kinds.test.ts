import { createHash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect, createServer, type Server } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { within } from '../../../test/kit/until.js'
import { type X509Issuer, type X509KeyType, x509Root } from '../../../test/kit/x509.js'
import { answerOcspRequests } from './answer-ocsp-requests.js'
import { certificates } from './certificates.js'

const digest = (certificate: Buffer): string => createHash('sha256').update(certificate).digest('hex')

describe('a staple of a store with several kinds of key', () => {
  let root: X509Issuer
  let server: Server
  beforeAll(async () => {
    root = await x509Root()
    const all: [string, X509KeyType][] = [
      ['a.test', 'ecdsa'],
      ['a.test', 'rsa'],
      ['b.test', 'ecdsa'],
      ['b.test', 'rsa'],
      ['c.test', 'ecdsa'],
      ['d.test', 'rsa'],
    ]
    const pairs = await Promise.all(all.map(([name, keyType]) => root.issue({ names: [name], keyType })))
    const store = certificates(pairs.map(({ cert, key }) => ({ cert: cert + root.cert, key })))
    const ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256'
    const settings = { ...store.fallback, SNICallback: store.sniCallback, ciphers, honorCipherOrder: true }
    server = createServer(settings)
    answerOcspRequests(server, async (certificate) => Buffer.from(digest(certificate)))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  /** What a client gets, or nothing where it gets no connection. */
  async function staple(options: ConnectionOptions): Promise<'none' | 'right' | 'wrong' | undefined> {
    const asking = {
      host: '127.0.0.1',
      ca: root.cert,
      requestOCSP: true,
      checkServerIdentity: () => undefined,
    }
    const client = connect({ ...asking, port: (server.address() as AddressInfo).port, ...options })
    let given = ''
    client.on('OCSPResponse', (response: Buffer | null) => {
      given = String(response ?? '')
    })
    const done = new Promise<boolean>((resolve) => {
      client.on('secureConnect', () => resolve(true))
      client.on('error', () => resolve(false))
    })
    const isOpen = await within(done, 'the handshake')
    const own = isOpen ? digest(client.getPeerCertificate().raw) : ''
    client.destroy()
    if (!isOpen) return undefined
    return given === '' ? 'none' : given === own ? 'right' : 'wrong'
  }

  const kinds = [
    'ECDSA+SHA256:RSA-PSS+SHA256',
    'RSA-PSS+SHA256:ECDSA+SHA256',
    'RSA-PSS+SHA256',
    'ECDSA+SHA256',
  ]
  it.each(['', 'a.test', 'b.test', 'c.test', 'd.test'])(
    'is never that of another one, for %j',
    async (servername) => {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
        for (const sigalgs of kinds) {
          const found = await staple({ servername, sigalgs, minVersion: version, maxVersion: version })
          expect(['none', 'right', undefined]).toContain(found)
          if (version === 'TLSv1.3' && servername !== '') expect(['right', undefined]).toContain(found)
        }
    },
  )
})
