import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createSecureContext, createServer as createTlsServer, type SecureContext } from 'node:tls'
import {
  AcmeClient,
  type AcmeClientOptions,
  type AcmeError,
  certificateRequest,
  challengeCertificate,
  generateKey,
} from '@sluice/acme'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { takeCertificate } from '../kit/acme-order.js'
import { owner } from '../kit/owner.js'
import { hasPebble, type Pebble, type PebbleOptions, pebble, startPatience } from '../kit/pebble.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

const own = owner()
trapUnhandled()

async function clientOf(server: Pebble, given: Partial<AcmeClientOptions> = {}): Promise<AcmeClient> {
  const { directory, ca } = server
  const accountKey = given.accountKey ?? (await generateKey('ecdsa'))
  return own(new AcmeClient({ directory, ca, agreeToTerms: true, ...given, accountKey }))
}

/** What answers HTTP-01, for one test. */
async function web(
  server: Pebble,
  client: AcmeClient,
): Promise<{ show(challenge: { token: string }): Promise<void> }> {
  const answers = new Map<string, string>()
  const listening = own(createServer((req, res) => res.end(answers.get(req.url ?? ''))))
  await once(listening.listen(server.httpPort, '127.0.0.1'), 'listening')
  return {
    async show({ token }) {
      answers.set(`/.well-known/acme-challenge/${token}`, await client.keyAuthorization(token))
    },
  }
}

const refused = (promise: Promise<unknown>): Promise<AcmeError> =>
  promise.then(
    () => {
      throw new Error('it was not refused')
    },
    (error: AcmeError) => error,
  )

const namesOf = (pem: string): string | undefined => new X509Certificate(pem).subjectAltName
const certificatesIn = (pem: string): X509Certificate[] =>
  pem
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter(Boolean)
    .map((each) => new X509Certificate(each))

function withPebble(name: string, options: PebbleOptions, tests: (server: () => Pebble) => void): void {
  describe.skipIf(skipUnless(hasPebble, 'pebble is not installed'))(`${name}`, () => {
    let server: Pebble
    beforeAll(async () => {
      server = await pebble(options)
    }, startPatience)
    afterAll(() => server?.close())
    tests(() => server)
  })
}

withPebble(
  'a strict server that refuses half of all good nonces',
  { strict: true, nonceReject: 50, chainLength: 2, alternateRoots: 1, blocked: ['blocked.test'] },
  (server) => {
    it('gives a certificate by HTTP-01, whose chain leads to its root', async () => {
      const client = await clientOf(server())
      const { show } = await web(server(), client)
      const { pem, key } = await takeCertificate(client, ['a.test', 'b.test'], 'http-01', show)
      const chain = certificatesIn(pem)
      expect(namesOf(pem)).toBe('DNS:a.test, DNS:b.test')
      expect(chain).toHaveLength(3)
      expect(chain[0]?.checkPrivateKey(key)).toBe(true)
      expect(chain[2]?.verify(new X509Certificate(await server().root()).publicKey)).toBe(true)
    })

    it('gives a certificate by TLS-ALPN-01', async () => {
      const client = await clientOf(server())
      const contexts = new Map<string, SecureContext>()
      const listening = own(
        createTlsServer({
          ALPNProtocols: ['acme-tls/1'],
          SNICallback: (name, done) => done(null, contexts.get(name)),
        }),
      )
      await once(listening.listen(server().tlsPort, '127.0.0.1'), 'listening')
      const { pem } = await takeCertificate(
        client,
        ['alpn.test'],
        'tls-alpn-01',
        async ({ token }, { identifier }) => {
          const pair = await challengeCertificate(identifier.value, await client.keyAuthorization(token))
          contexts.set(identifier.value, createSecureContext(pair))
        },
      )
      expect(namesOf(pem)).toBe('DNS:alpn.test')
    })

    it('gives a wildcard and its name by DNS-01, with two records at one name', async () => {
      const client = await clientOf(server())
      const wildcards: boolean[] = []
      const names = ['*.w.test', 'w.test']
      const { pem } = await takeCertificate(
        client,
        names,
        'dns-01',
        async ({ token }, { identifier, wildcard }) => {
          wildcards.push(wildcard)
          await server().setTxt(`_acme-challenge.${identifier.value}`, await client.dnsValue(token))
        },
      )
      expect(namesOf(pem)).toBe('DNS:*.w.test, DNS:w.test')
      expect(wildcards.sort()).toEqual([false, true])
    })

    it('gives a certificate for an address', async () => {
      const client = await clientOf(server())
      const { show } = await web(server(), client)
      const { pem } = await takeCertificate(client, ['127.0.0.1'], 'http-01', show)
      expect(namesOf(pem)).toBe('IP Address:127.0.0.1')
    })

    it.each<[string, () => KeyObject]>([
      ['P-384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
      ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey],
      ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey],
    ])('takes accounts with a key of %s', async (_, make) => {
      const client = await clientOf(server(), { accountKey: make() })
      expect(await client.account()).toEqual({ url: expect.stringMatching(/^https:/), status: 'valid' })
      await client.newOrder(['key.test'])
    })

    it('finds the account of a key again, and tells it new contacts', async () => {
      const accountKey = await generateKey('ecdsa')
      const first = await clientOf(server(), { accountKey, contact: ['mailto:a@example.com'] })
      const again = await clientOf(server(), { accountKey, contact: ['mailto:b@example.com'] })
      expect(await again.account()).toEqual(await first.account())
    })

    it('gives another chain by the name of its root, and its own choice where it has none of that name', async () => {
      const client = await clientOf(server())
      const { show } = await web(server(), client)
      const root = new X509Certificate(await server().root(1))
      const name = /CN=(.*)/.exec(root.subject)?.[1] ?? ''
      const { pem } = await takeCertificate(client, ['alternate.test'], 'http-01', show, name)
      expect(certificatesIn(pem).at(-1)?.verify(root.publicKey)).toBe(true)
      const other = await takeCertificate(client, ['alternate.test'], 'http-01', show, 'Nobody')
      const first = new X509Certificate(await server().root(0))
      expect(certificatesIn(other.pem).at(-1)?.verify(first.publicKey)).toBe(true)
    })

    it('revokes by the account, with a reason, and does so once', async () => {
      const client = await clientOf(server())
      const { show } = await web(server(), client)
      const { pem } = await takeCertificate(client, ['revoked.test'], 'http-01', show)
      const { serialNumber } = new X509Certificate(pem)
      expect(await server().status(serialNumber)).toMatchObject({ Status: 'Valid' })
      await client.revoke(pem, { reason: 4 })
      expect(await server().status(serialNumber)).toMatchObject({ Status: 'Revoked', Reason: 4 })
      await client.revoke(pem, { reason: 4 })
    })

    it("revokes by the certificate's own key, without its account, and not by another's", async () => {
      const client = await clientOf(server())
      const { show } = await web(server(), client)
      const { pem, key } = await takeCertificate(client, ['lost.test'], 'http-01', show)
      const { serialNumber } = new X509Certificate(pem)
      const stranger = await clientOf(server())
      expect(await refused(stranger.revoke(pem))).toMatchObject({ type: 'unauthorized', phase: 'revocation' })
      await stranger.revoke(pem, { key })
      expect(await server().status(serialNumber)).toMatchObject({ Status: 'Revoked' })
    })

    it('changes the key of the account, which goes on with the new one', async () => {
      const client = await clientOf(server())
      const { url } = await client.account()
      const newKey = await generateKey('rsa')
      await client.rollover(newKey)
      expect(await (await clientOf(server(), { accountKey: newKey })).account()).toMatchObject({ url })
      const { show } = await web(server(), client)
      await takeCertificate(client, ['rolled.test'], 'http-01', show)
    })

    it('finds out that the key was changed already, where only the answer was lost', async () => {
      const accountKey = await generateKey('ecdsa')
      const newKey = await generateKey('ecdsa')
      const client = await clientOf(server(), { accountKey })
      await client.account()
      await (await clientOf(server(), { accountKey })).rollover(newKey)
      await client.rollover(newKey)
      await client.newOrder(['rolled.test'])
    })

    it('does not change the key to that of another account', async () => {
      const client = await clientOf(server())
      const accountKey = await generateKey('ecdsa')
      await (await clientOf(server(), { accountKey })).account()
      expect(await refused(client.rollover(accountKey))).toMatchObject({ code: 'problem', phase: 'rollover' })
      await client.newOrder(['still.test'])
    })

    it('ends an account', async () => {
      const accountKey = await generateKey('ecdsa')
      const client = await clientOf(server(), { accountKey })
      await client.account()
      await client.deactivate()
      expect(await refused(client.newOrder(['gone.test']))).toMatchObject({ phase: 'account' })
    })

    it('gives an authorization up', async () => {
      const client = await clientOf(server())
      const [url = ''] = (await client.newOrder(['given-up.test'])).authorizations
      await client.deactivateAuthorization(url)
      expect(await client.authorization(url)).toMatchObject({ status: 'deactivated' })
      expect(await refused(client.settledAuthorization(url))).toMatchObject({ code: 'refused' })
    })

    it('says why a name was not shown to be ours', async () => {
      const client = await clientOf(server())
      await server().addA('wrong.test', '127.0.0.1')
      expect(await refused(takeCertificate(client, ['nobody-listens.test']))).toMatchObject({
        type: 'connection',
        phase: 'authorization',
        message: expect.stringMatching(/must reach this host by that name, on port 80/),
      })
      const wrong = own(createServer((_, res) => res.end('another server')))
      await once(wrong.listen(server().httpPort, '127.0.0.1'), 'listening')
      expect(await refused(takeCertificate(client, ['wrong.test']))).toMatchObject({ type: 'unauthorized' })
      await server().setServfail('servfail.test')
      expect(await refused(takeCertificate(client, ['servfail.test']))).toMatchObject({
        code: 'problem',
        phase: 'authorization',
      })
      expect(await refused(takeCertificate(client, ['no-record.test'], 'dns-01'))).toMatchObject({
        type: 'unauthorized',
      })
    })

    it('says which name it does not take', async () => {
      const client = await clientOf(server())
      expect(await refused(client.newOrder(['a.blocked.test']))).toMatchObject({
        type: 'rejectedIdentifier',
        phase: 'order',
        message: expect.stringContaining('blocked.test'),
      })
    })

    it('refuses a request for other names', async () => {
      const client = await clientOf(server())
      const { show } = await web(server(), client)
      await takeCertificate(client, ['csr.test'], 'http-01', show)
      const order = await client.newOrder(['csr.test'])
      const [url = ''] = order.authorizations
      const challenge = (await client.authorization(url)).challenges.find(({ type }) => type === 'http-01')
      if (challenge === undefined) throw new Error('no challenge')
      await show(challenge)
      await client.begin(challenge)
      await client.settledAuthorization(url)
      const csr = await certificateRequest(['other.test'], await generateKey('ecdsa'))
      expect(await refused(client.finalize(await client.order(order.url), csr))).toMatchObject({
        code: 'problem',
        phase: 'finalize',
      })
    })

    it('has no renewal information', async () => {
      const client = await clientOf(server())
      const { show } = await web(server(), client)
      const { pem } = await takeCertificate(client, ['ari.test'], 'http-01', show)
      expect(await client.renewalInfo(pem)).toBeUndefined()
    })

    it('is not trusted without its authority', async () => {
      const { directory } = server()
      const client = own(
        new AcmeClient({ directory, agreeToTerms: true, accountKey: await generateKey('ecdsa') }),
      )
      expect(await refused(client.account())).toMatchObject({
        code: 'unreachable',
        phase: 'directory',
        message: expect.stringContaining('`ca`'),
      })
    })

    it('has terms that must be agreed to', async () => {
      const client = await clientOf(server(), { agreeToTerms: false })
      expect(await refused(client.account())).toMatchObject({
        code: 'needs_terms',
        message: expect.stringMatching(/terms: \S+.*agreeToTerms: true/),
      })
    })
  },
)

const hmacKey = Buffer.from('a key of thirty-two bytes, or so').toString('base64url')

withPebble('a server for known customers', { eab: { 'kid-1': hmacKey } }, (server) => {
  it('binds an account to the one that it knows', async () => {
    const client = await clientOf(server(), { eab: { kid: 'kid-1', hmacKey } })
    expect(await client.account()).toMatchObject({ status: 'valid' })
  })

  it('is not asked without a binding', async () => {
    expect(await refused((await clientOf(server())).account())).toMatchObject({ code: 'needs_binding' })
  })

  it('refuses a key that is not its own', async () => {
    const other = Buffer.from('another key of thirty-two bytes').toString('base64url')
    const client = await clientOf(server(), { eab: { kid: 'kid-1', hmacKey: other } })
    const error = await refused(client.account())
    expect(error).toMatchObject({ code: 'problem', phase: 'account' })
    expect(error.message).not.toContain(other)
    const unknown = await clientOf(server(), { eab: { kid: 'kid-9', hmacKey } })
    expect(await refused(unknown.account())).toMatchObject({ code: 'problem', type: 'unauthorized' })
  })
})

withPebble(
  'a server that takes every challenge, and remembers',
  { alwaysValid: true, authzReuse: 100 },
  (server) => {
    it('makes the second order ready at once', async () => {
      const client = await clientOf(server())
      await takeCertificate(client, ['again.test'])
      const order = await client.newOrder(['again.test'])
      expect(await client.order(order.url)).toMatchObject({ status: 'ready' })
      const key = await generateKey('rsa')
      const valid = await client.finalize(order, await certificateRequest(['again.test'], key))
      expect(new X509Certificate(await client.certificate(valid, { key })).checkPrivateKey(key)).toBe(true)
      // Once more, as a process does that ended before it had the certificate.
      const again = await client.finalize(valid, await certificateRequest(['again.test'], key))
      expect(again.certificate).toBe(valid.certificate)
    })

    it('gets the account anew after it has forgotten all', async () => {
      const client = await clientOf(server())
      await takeCertificate(client, ['before.test'])
      await server().kill()
      expect(await refused(client.newOrder(['between.test']))).toMatchObject({ code: 'unreachable' })
      await server().start()
      expect(await refused(client.newOrder(['between.test']))).toMatchObject({ code: 'problem' })
      await takeCertificate(client, ['after.test'])
    })
  },
)

withPebble('a server that refuses every nonce', { nonceReject: 100 }, (server) => {
  it('is given up after some', async () => {
    expect(await refused((await clientOf(server())).account())).toMatchObject({
      code: 'nonces',
      phase: 'account',
    })
  })
})

withPebble('a server that takes its time', { sleep: 1, alwaysValid: true }, (server) => {
  it('is waited for', async () => {
    await takeCertificate(await clientOf(server()), ['slow.test'])
  })
})
