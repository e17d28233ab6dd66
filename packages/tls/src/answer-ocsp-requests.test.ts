import type { AddressInfo } from 'node:net'
import { connect, createSecureContext, createServer, type SecureContext, type TlsOptions } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { within } from '../../../test/kit/until.js'
import { type X509Issuer, type X509Pair, x509Root } from '../../../test/kit/x509.js'
import { answerOcspRequests } from './answer-ocsp-requests.js'
import { answerNamed } from './named-certificate.js'

describe('answerOcspRequests', () => {
  trapUnhandled()
  const own = owner()
  let root: X509Issuer
  let ecdsa: X509Pair
  let rsa: X509Pair
  beforeAll(async () => {
    root = await x509Root()
    ecdsa = await root.issue({ names: ['a.test'] })
    rsa = await root.issue({ names: ['a.test'], keyType: 'rsa' })
  })
  const optionsOf = (...pairs: readonly X509Pair[]): TlsOptions => ({
    cert: pairs.map(({ cert }) => cert + root.cert),
    key: pairs.map(({ key }) => key),
  })

  /** Whether a client gets a staple where SNI gives a context of its certificate, and it is told whether that is sure. */
  async function isStapled(isSure: boolean | undefined, servername: string): Promise<boolean> {
    const context = createSecureContext(optionsOf(rsa))
    const answer = (done: (error: null, context: SecureContext) => void): void => {
      if (isSure === undefined) done(null, context)
      else answerNamed(isSure, () => done(null, context))
    }
    const server = createServer({ ...optionsOf(ecdsa, rsa), SNICallback: (_, done) => answer(done) })
    answerOcspRequests(server, async () => Buffer.from('staple'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    own({ close: () => new Promise((resolve) => server.close(resolve)) })
    const { port } = server.address() as AddressInfo
    const asking = { host: '127.0.0.1', port, servername, ca: root.cert, requestOCSP: true }
    const client = connect({ ...asking, sigalgs: 'RSA-PSS+SHA256', checkServerIdentity: () => undefined })
    const staple = new Promise<Buffer | null>((resolve) => client.on('OCSPResponse', resolve))
    const secure = new Promise((resolve) => client.on('secureConnect', resolve))
    const found = await within(staple, 'the staple')
    await within(secure, 'the handshake')
    client.destroy()
    return String(found ?? '') === 'staple'
  }

  it('staples what SNI has chosen for sure, though the own context has several', async () => {
    expect(await isStapled(true, 'a.test')).toBe(true)
  })

  it('staples nothing where the client may get another one', async () => {
    expect(await isStapled(false, 'a.test')).toBe(false)
  })

  it('staples nothing where nobody tells, and it is the last one of the several that the server has', async () => {
    expect(await isStapled(undefined, 'a.test')).toBe(false)
    // Nor has it been told for a client that names nobody.
    await isStapled(true, 'a.test')
    expect(await isStapled(true, '')).toBe(false)
  })
})
