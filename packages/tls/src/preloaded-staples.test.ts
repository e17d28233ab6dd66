import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { ocspAnswerOf } from '../../../test/kit/ocsp-responder.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { type X509Issuer, type X509Pair, x509Root } from '../../../test/kit/x509.js'
import { type CertificateSource, certificates, type KeyPair, ocspStapler, serverTls } from './index.js'

const ocsp = 'http://ocsp.test/'
const asIs = ({ chain, key }: X509Pair): KeyPair => ({ cert: chain, key })

describe('staples of certificates that must have one', () => {
  trapUnhandled()
  const own = owner()
  const warnings = warningsOf('SluiceWarning')
  let root: X509Issuer
  let middle: X509Issuer
  let must: X509Pair
  let next: X509Pair
  let plain: X509Pair
  beforeAll(async () => {
    root = await x509Root()
    middle = await root.intermediate()
    must = await middle.issue({ names: ['must.test'], ocsp, mustStaple: true })
    next = await middle.issue({ names: ['must.test'], ocsp, mustStaple: true })
    plain = await middle.issue({ names: ['plain.test'], ocsp })
  })

  function rig(source: CertificateSource) {
    const asked: Buffer[] = []
    const stapler = ocspStapler({
      fetch: async (_, question) => {
        asked.push(question)
        return ocspAnswerOf(question, middle)
      },
    })
    own({ close: () => stapler[Symbol.dispose]() })
    const store = certificates(source)
    const tls = serverTls({ certificates: store, ocsp: stapler })
    const server = createServer(tls.options, (socket: TLSSocket) => void socket.end())
    own({ close: () => void server.close() })
    return { asked, store, tls, server }
  }

  it('are asked for when a server is attached, and are there for the first client', async () => {
    const { asked, tls, server } = rig([asIs(plain), asIs(must)])
    tls.attach(server)
    await until(() => asked.length > 0, 'a question')
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    // Not in the types of Node 20.
    const asking = { port, servername: 'must.test', ca: root.cert, requestOCSP: true }
    const client = connect(asking)
    const [staple] = (await once(client, 'OCSPResponse')) as [Buffer | null]
    expect(staple).not.toBeNull()
    client.destroy()
    // The same question, and none for the other certificate.
    expect(asked).toHaveLength(1)
  })

  it('are asked for when there are other certificates, once for each', async () => {
    const { asked, store, tls, server } = rig(asIs(must))
    tls.attach(server)
    await until(() => asked.length === 1, 'a question')
    store.replace([asIs(plain), asIs(next)])
    await until(() => asked.length === 2, 'a question')
    store.replace([asIs(next), asIs(plain)])
    expect(store.mustStaple()).toHaveLength(1)
    await new Promise((resolve) => setImmediate(resolve))
    expect(asked).toHaveLength(2)
    expect(asked[0]).not.toEqual(asked[1])
  })

  it('have to have their issuers', () => {
    expect(certificates({ cert: must.cert, key: must.key }).mustStaple()).toEqual([])
    expect(certificates(asIs(must)).mustStaple()).toEqual([{ certificate: must.der, issuer: middle.der }])
    expect(certificates(asIs(plain)).mustStaple()).toEqual([])
  })

  it.each<[string, () => unknown]>([
    ['rejects', () => Promise.reject(new Error('mine'))],
    [
      'throws',
      () => {
        throw new Error('mine')
      },
    ],
  ])('are no fault of a server whose stapler %s', async (_, preload) => {
    const tls = serverTls({ certificates: certificates(asIs(must)), ocsp: { attach: () => {}, preload } })
    const server = createServer(tls.options)
    tls.attach(server)[Symbol.dispose]()
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual(['ocsp.preload threw: mine'])
  })
})
