import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, createServer, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { revocationList } from '../../../test/kit/revocation-list.js'
import { type TlsVisit, tlsVisit } from '../../../test/kit/tls-visit.js'
import { type X509Issuer, type X509Pair, x509Root } from '../../../test/kit/x509.js'
import { certificates } from './certificates.js'
import { serverTls } from './server-tls.js'
import type { ServerTlsOptions } from './server-tls-options.js'
import { ticketKeys } from './ticket-keys.js'

const hour = 3_600_000
let root: X509Issuer
let clients: X509Issuer
let own: X509Pair
let good: X509Pair
let expired: X509Pair
let stranger: X509Pair
beforeAll(async () => {
  root = await x509Root()
  clients = await x509Root({ commonName: 'Clients' })
  own = await root.issue({ names: ['own.test'] })
  good = await clients.issue({ commonName: 'good' })
  expired = await clients.issue({
    commonName: 'expired',
    notBefore: Date.now() - 2 * hour,
    notAfter: Date.now() - hour,
  })
  stranger = await root.issue({ commonName: 'stranger' })
})

const pairOf = ({ chain, key }: X509Pair) => ({ cert: chain, key })

const open: (() => void)[] = []
afterEach(() => {
  for (const end of open.splice(0)) end()
})

/** A server that says to each client whether, and as whom, it knows him. */
async function serve(options: Partial<ServerTlsOptions>) {
  const tls = serverTls({ certificates: certificates(pairOf(own)), ca: clients.cert, ...options })
  const server = createServer(tls.options, (socket: TLSSocket) => {
    socket.on('error', () => {})
    const { authorizationError } = socket
    const reason = authorizationError as unknown
    socket.end(socket.authorized ? `${socket.getPeerX509Certificate()?.subject}` : `no: ${reason}`)
  })
  tls.attach(server)
  server.listen(0, '127.0.0.1')
  open.push(() => server.close())
  await once(server, 'listening')
  return { tls, port: (server.address() as AddressInfo).port }
}

type Ask = (pair?: X509Pair, options?: ConnectionOptions) => Promise<TlsVisit>

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('client certificates over %s', (maxVersion) => {
  const asker =
    (port: number): Ask =>
    (pair, options) =>
      tlsVisit(port, {
        servername: 'own.test',
        ca: root.cert,
        maxVersion,
        ...(pair === undefined ? {} : { cert: pair.chain, key: pair.key }),
        ...options,
      })

  describe("with client: 'required'", () => {
    it('lets in who has one of its authorities', async () => {
      const ask = asker((await serve({ client: 'required' })).port)
      expect(await ask(good)).toMatchObject({ text: 'CN=good' })
      expect(await ask(good, { servername: '', checkServerIdentity: () => undefined })).toMatchObject({
        text: 'CN=good',
      })
    })

    it('refuses who has none, an expired one, or one of another authority', async () => {
      const ask = asker((await serve({ client: 'required' })).port)
      for (const pair of [undefined, expired, stranger]) await expect(ask(pair)).rejects.toThrow()
    })

    it('refuses one that is revoked', async () => {
      const crl = await revocationList(clients, [good.serialNumber])
      const ask = asker((await serve({ client: 'required', crl })).port)
      await expect(ask(good)).rejects.toThrow()
      expect(await ask(await clients.issue({ commonName: 'better' }))).toMatchObject({ text: 'CN=better' })
    })
  })

  it('takes several authorities and lists in one text, and wants a list of each authority in a chain', async () => {
    const below = await clients.intermediate({ commonName: 'Below' })
    const [fine, bad] = [await below.issue({ commonName: 'fine' }), await below.issue({ commonName: 'bad' })]
    const lists = [
      await revocationList(root),
      await revocationList(clients),
      await revocationList(below, [bad.serialNumber]),
    ]
    const ca = root.cert + clients.cert
    const ask = asker((await serve({ client: 'required', ca, crl: lists.join('') })).port)
    expect(await ask(fine)).toMatchObject({ text: 'CN=fine' })
    expect(await ask(stranger)).toMatchObject({ text: 'CN=stranger' })
    await expect(ask(bad)).rejects.toThrow()
    const fewer = asker((await serve({ client: 'optional', ca, crl: lists.slice(0, 2) })).port)
    expect(await fewer(fine)).toMatchObject({ text: 'no: UNABLE_TO_GET_CRL' })
  })

  it("lets all pass with client: 'optional', and says who isn't known", async () => {
    const crl = await revocationList(clients, [good.serialNumber])
    const ask = asker((await serve({ client: 'optional', crl })).port)
    const told = []
    for (const pair of [undefined, expired, stranger, good]) told.push((await ask(pair)).text)
    expect(told).toEqual([
      'no: UNABLE_TO_GET_ISSUER_CERT',
      'no: CERT_HAS_EXPIRED',
      expect.stringMatching(/^no: (UNABLE_TO|SELF)/),
      'no: CERT_REVOKED',
    ])
    expect((await ask(await clients.issue({ commonName: 'better' }))).text).toBe('CN=better')
    const old = await revocationList(clients, [], Date.now() - hour)
    const late = asker((await serve({ client: 'optional', crl: old })).port)
    expect((await late(good)).text).toBe('no: CRL_HAS_EXPIRED')
  })

  it('asks nobody without `client`', async () => {
    const { port } = await serve({ ca: undefined })
    expect(await asker(port)(good)).toMatchObject({ text: 'no: null' })
  })

  describe('in a resumed session', () => {
    const back = async (ask: Ask, pair: X509Pair | undefined, { session }: TlsVisit): Promise<TlsVisit> =>
      ask(pair, { session: session as Buffer })

    it('are known', async () => {
      const ask = asker((await serve({ client: 'required' })).port)
      expect(await back(ask, good, await ask(good))).toMatchObject({ resumed: true, text: 'CN=good' })
    })

    it('are known by their absence', async () => {
      const ask = asker((await serve({ client: 'optional' })).port)
      expect(await back(ask, undefined, await ask())).toMatchObject({
        resumed: true,
        text: 'no: UNABLE_TO_GET_ISSUER_CERT',
      })
    })

    it('stay what they were: one that was not good is not', async () => {
      const ask = asker((await serve({ client: 'optional' })).port)
      expect(await back(ask, expired, await ask(expired))).toMatchObject({
        resumed: true,
        text: 'no: CERT_HAS_EXPIRED',
      })
    })

    it('are refused when they have expired since', async () => {
      let now = Date.now()
      const clock = (): number => now
      const required = asker((await serve({ client: 'required', clock })).port)
      const optional = asker((await serve({ client: 'optional', clock })).port)
      const visits = [await required(good), await optional(good)] as const
      now += 100 * hour
      await expect(back(required, good, visits[0])).rejects.toThrow()
      expect(await back(optional, good, visits[1])).toMatchObject({
        resumed: true,
        text: 'no: CERT_HAS_EXPIRED',
      })
    })

    it('are refused when they have been revoked since', async () => {
      const { tls, port } = await serve({ client: 'required', crl: await revocationList(clients) })
      const ask = asker(port)
      const before = await ask(good)
      expect(await back(ask, good, before)).toMatchObject({ resumed: true })
      tls.trust({ ca: clients.cert, crl: await revocationList(clients, [good.serialNumber]) })
      await expect(back(ask, good, before)).rejects.toThrow()
      const better = await clients.issue({ commonName: 'better' })
      expect(await ask(better)).toMatchObject({ resumed: false, text: 'CN=better' })
    })

    it('are refused when their authority counts no more', async () => {
      const { tls, port } = await serve({ client: 'optional' })
      const ask = asker(port)
      const before = await ask(good)
      tls.trust({ ca: root.cert })
      expect(await back(ask, good, before)).toMatchObject({
        resumed: false,
        text: expect.stringMatching(/^no: /),
      })
      expect(await ask(stranger)).toMatchObject({ text: 'CN=stranger' })
    })

    it('are not brought along from a server with another policy', async () => {
      const tickets = ticketKeys({ secret: 'a secret that all of these servers share' })
      const open = asker((await serve({ ca: undefined, tickets })).port)
      const strict = asker((await serve({ client: 'required', tickets })).port)
      const others = asker((await serve({ client: 'required', ca: root.cert, tickets })).port)
      const same = asker((await serve({ client: 'required', ca: [Buffer.from(clients.cert)], tickets })).port)
      await expect(back(strict, undefined, await open())).rejects.toThrow()
      const before = await strict(good)
      await expect(back(others, good, before)).rejects.toThrow()
      expect(await back(same, good, before)).toMatchObject({ resumed: true, text: 'CN=good' })
    })
  })

  it('keep what counts when what is to replace it is no PEM', async () => {
    const { tls, port } = await serve({ client: 'required' })
    expect(() => tls.trust({ ca: 'nothing' })).toThrow('ca: got something else, takes PEM of CERTIFICATE')
    expect(await asker(port)(good)).toMatchObject({ text: 'CN=good' })
  })
})
