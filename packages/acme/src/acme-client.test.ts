import { X509Certificate } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { takeCertificate } from '../../../test/kit/acme-order.js'
import { accountKey, acmeRig, changed, problem, refused, without } from '../../../test/kit/acme-rig.js'
import type { AcmeLie } from '../../../test/kit/hostile-acme.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { AcmeClient, type AcmeClientOptions, AcmeProblem, renewalId } from './index.js'

trapUnhandled()
const own = owner()
const { met, clientOf } = acmeRig(own, AcmeClient)
const take = (client: AcmeClient) => takeCertificate(client, ['a.test'])
const day = 86_400_000

describe('a server that is honest', () => {
  it('gives a certificate, asked as RFC 8555 has it', async () => {
    const { server, client } = await met({ contact: ['mailto:a@example.com'] })
    const { pem, key } = await take(client)
    expect(new X509Certificate(pem).checkPrivateKey(key)).toBe(true)
    const posts = server.requests.filter(({ method }) => method === 'POST')
    const nonces = posts.map(({ header }) => header?.['nonce'])
    expect(new Set(nonces).size).toBe(nonces.length)
    for (const { header, path, headers } of posts) {
      expect(header?.['url']).toBe(server.origin + path)
      expect(headers).toMatchObject({ 'content-type': 'application/jose+json', 'user-agent': 'sluice-acme' })
    }
    const [first, ...others] = posts
    expect(first).toMatchObject({
      step: 'account',
      header: { alg: 'ES256', jwk: { kty: 'EC' } },
      payload: { termsOfServiceAgreed: true, contact: ['mailto:a@example.com'] },
    })
    expect(first?.header).not.toHaveProperty('jwk.d')
    for (const { header } of others) {
      expect(header).toMatchObject({ kid: `${server.origin}/account/1` })
      expect(header).not.toHaveProperty('jwk')
    }
    // One nonce was asked for; the others came with answers.
    expect(server.requests.filter(({ step }) => step === 'nonce')).toHaveLength(1)
    expect(server.requests.filter(({ step }) => step === 'directory')).toHaveLength(1)
  })
})

it('takes a Location that is relative', async () => {
  const { server, client } = await met()
  server.at('account', (reply) => ({ ...reply, headers: { ...reply.headers, location: '/account/7' } }))
  expect(await client.account()).toMatchObject({ url: `${server.origin}/account/7` })
})

describe('an account that is found', () => {
  const found =
    (contact: object): AcmeLie =>
    (reply) => ({ ...reply, status: 200, body: { ...reply.body, ...contact } })
  const contact = ['mailto:b@example.com']

  it.each<[string, object, readonly string[], readonly object[]]>([
    ['is told contacts that differ', { contact: ['mailto:a@example.com'] }, contact, [{ contact }]],
    ['is told nothing where they are the same', { contact }, contact, []],
    ['is told nothing where the server keeps none', {}, contact, []],
    ['is told nothing where there are none to tell', { contact }, [], []],
  ])('%s', async (_, shown, wanted, told) => {
    const { server, client } = await met({ contact: wanted })
    server.at('account', found(shown))
    await client.account()
    const updates = server.requests.filter(({ path }) => path === '/account/1')
    expect(updates.map(({ payload }) => payload)).toEqual(told)
  })

  it('is asked for once, and again after a failure', async () => {
    const { server, client } = await met()
    server.at('account', problem(503, 'serverInternal'))
    expect(await refused(client.account())).toMatchObject({ type: 'serverInternal' })
    server.at('account')
    await Promise.all([client.account(), client.account(), client.newOrder(['a.test'])])
    expect(server.requests.filter(({ step }) => step === 'account')).toHaveLength(2)
  })

  it('that is over is an error', async () => {
    const { server, client } = await met()
    server.at('account', found({ status: 'revoked' }))
    expect(await refused(client.account())).toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/it is revoked; make another key/),
    })
  })
})

it('shows its keys nowhere', async () => {
  const hmacKey = Buffer.from('the secret of the binding').toString('base64url')
  const { server, client } = await met({ eab: { kid: '1', hmacKey } })
  server.at('newOrder', (reply) => ({ ...reply, body: 'garbage' }))
  const error = await refused(take(client))
  const shown = inspect([client, error, server.requests], { depth: 20, showHidden: true })
  expect(shown).toContain('externalAccountBinding')
  for (const secret of [accountKey.export({ format: 'jwk' }).d, hmacKey]) expect(shown).not.toContain(secret)
})

describe("the server's no", () => {
  it('has its reason for each name, in one line that is safe to show', async () => {
    const { server, client } = await met()
    const subproblems = [
      {
        type: 'urn:ietf:params:acme:error:caa',
        detail: 'CAA\r\nforbids\u001b[2J',
        identifier: { type: 'dns', value: 'a.test\u0000' },
      },
      {
        type: 'urn:ietf:params:acme:error:dns',
        detail: 'no \u202Erecord',
        identifier: { type: 'dns', value: 'b.test' },
      },
      null,
      'nonsense',
    ]
    server.at('newOrder', problem(403, 'compound', { detail: 'two\nnames\u009b31m', subproblems }))
    const error = await refused(take(client))
    expect(error).toBeInstanceOf(AcmeProblem)
    expect(error).toMatchObject({
      type: 'compound',
      status: 403,
      detail: 'two names 31m',
      subproblems: [
        { type: 'caa', detail: 'CAA forbids [2J', name: 'a.test' },
        { type: 'dns', detail: 'no record', name: 'b.test' },
      ],
    })
    const { host } = new URL(server.origin)
    expect(error.message).toBe(
      `acme order at ${host}: compound: two names 31m (403); a.test: caa CAA forbids [2J; b.test: dns no record; the server says why`,
    )
  })

  it('is short, however much the server has to say', async () => {
    const { server, client } = await met()
    const one = { type: 'x'.repeat(300), detail: 'y'.repeat(300) }
    server.at(
      'newOrder',
      problem(403, 'compound', { detail: 'z'.repeat(9_000), subproblems: Array(1_000).fill(one) }),
    )
    const error = (await refused(take(client))) as AcmeProblem
    expect(error.message.length).toBeLessThan(1_000)
    expect(error.subproblems).toHaveLength(100)
  })

  it('in a challenge or an order is the reason why that is invalid', async () => {
    const { server, client } = await met()
    const error = { type: 'urn:ietf:params:acme:error:dns', detail: 'NXDOMAIN for a.test' }
    const invalid = changed((body) => {
      if (body.status !== 'valid') return
      body.status = 'invalid'
      body.error = error
      if (body.challenges !== undefined) body.challenges[0].error = error
    })
    server.at('authorization', invalid)
    expect(await refused(take(client))).toMatchObject({
      type: 'dns',
      phase: 'authorization',
      detail: error.detail,
    })
    server.at('authorization')
    server.at('order', invalid)
    expect(await refused(take(client))).toMatchObject({ type: 'dns', phase: 'finalize' })
    server.at(
      'order',
      changed((body) => (body.status = 'invalid')),
    )
    expect(await refused(take(client))).toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/it is invalid/),
    })
  })

  it('that wants a person to act says where', async () => {
    const { server, client } = await met()
    const instance = 'https://ca.test/agreement'
    server.at('account', problem(403, 'userActionRequired', { instance }))
    expect(await refused(take(client))).toMatchObject({
      instance,
      message: expect.stringContaining(instance),
    })
  })

  it('to revoke again is what was wanted', async () => {
    const { server, client } = await met()
    const { pem } = await take(client)
    server.at('revocation', problem(400, 'alreadyRevoked'))
    await client.revoke(pem)
    server.at('revocation', problem(403, 'unauthorized'))
    expect(await refused(client.revoke(pem))).toMatchObject({ type: 'unauthorized', phase: 'revocation' })
    await expect(client.revoke('no certificate')).rejects.toThrow(TypeError)
  })

  it('where it has no such thing is told', async () => {
    const { server, client } = await met()
    const { pem } = await take(client)
    const other = clientOf(server)
    server.at(
      'directory',
      changed((body) => {
        delete body.revokeCert
        delete body.keyChange
      }),
    )
    expect(await refused(other.revoke(pem))).toMatchObject({ code: 'unsupported', phase: 'revocation' })
    expect(await refused(other.rollover(accountKey))).toMatchObject({
      code: 'unsupported',
      phase: 'rollover',
    })
  })
})

describe('renewal information', () => {
  it('is the window that the server wants, and how long that holds', async () => {
    const { server, client } = await met()
    server.certificate = { extensions: [await authorityKey()] }
    const { pem } = await take(client)
    expect(await client.renewalInfo(pem)).toEqual({
      start: Date.parse('2030-01-01T00:00:00Z'),
      end: Date.parse('2030-01-02T00:00:00Z'),
      retryAfterMs: 21_600_000,
    })
    const asked = server.requests.at(-1)
    expect(asked).toMatchObject({ method: 'GET', path: `/renewal-info/${await renewalId(pem)}` })
    server.at(
      'renewalInfo',
      changed((body) => (body.explanationURL = 'https://ca.test/why\n\u001b[31m')),
    )
    expect(await client.renewalInfo(pem)).toMatchObject({ explanation: 'https://ca.test/why [31m' })
  })

  it.each<[string, AcmeLie]>([
    ['an end before its start', changed((body) => (body.suggestedWindow.end = '2029-01-01T00:00:00Z'))],
    ['no window', without('suggestedWindow')],
    ['a window of numbers', changed((body) => (body.suggestedWindow = { start: 1, end: 2 }))],
    ['garbage', (reply) => ({ ...reply, body: '{' })],
  ])('with %s is none', async (_, lie) => {
    const { server, client } = await met()
    server.certificate = { extensions: [await authorityKey()] }
    const { pem } = await take(client)
    server.at('renewalInfo', lie)
    expect(await refused(client.renewalInfo(pem))).toMatchObject({ code: 'malformed', phase: 'renewal-info' })
  })

  it('of a certificate that does not name its authority there is none', async () => {
    const { client } = await met()
    const { pem } = await take(client)
    expect(await client.renewalInfo(pem)).toBeUndefined()
  })

  it('of the one before goes with an order, where the server has any', async () => {
    const { server, client } = await met()
    await client.newOrder(['a.test'], { replaces: 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE', profile: 'classic' })
    expect(server.requests.at(-1)?.payload).toMatchObject({
      replaces: 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE',
      profile: 'classic',
    })
    server.at('directory', without('renewalInfo'))
    const other = clientOf(server)
    await other.newOrder(['a.test'], { replaces: 'a.b' })
    expect(server.requests.at(-1)?.payload).not.toHaveProperty('replaces')
    expect(await refused(other.newOrder(['a.test'], { profile: 'tiny' }))).toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/tiny isn't offered; there is classic/),
    })
  })
})

describe('leaving', () => {
  it('ends what is under way, and refuses what comes after', async () => {
    const { server, client } = await met()
    server.at('newOrder', () => undefined)
    const taking = refused(take(client))
    await until(() => server.requests.some(({ step }) => step === 'newOrder'), 'an order')
    await client.close()
    expect(await taking).toMatchObject({ code: 'aborted', phase: 'order' })
    expect(await refused(client.order(`${server.origin}/order/1`))).toMatchObject({ code: 'aborted' })
  })

  it('is what a signal does, too', async () => {
    const leaving = new AbortController()
    const { server, client } = await met({ signal: leaving.signal })
    server.at('directory', () => undefined)
    const taking = refused(client.account())
    await until(() => server.requests.length > 0, 'a request')
    leaving.abort()
    expect(await taking).toMatchObject({ code: 'aborted', phase: 'directory' })
    const late = clientOf(server, { signal: leaving.signal })
    expect(await refused(late.account())).toMatchObject({ code: 'aborted' })
    expect(server.requests).toHaveLength(1)
  })
})

it('asks for the directory again after a day', async () => {
  let now = 0
  const { server, client } = await met({}, { now: () => now })
  const asked = (): number => server.requests.filter(({ step }) => step === 'directory').length
  await client.account()
  await client.newOrder(['a.test'])
  expect(asked()).toBe(1)
  now = day
  await client.newOrder(['a.test'])
  expect(asked()).toBe(2)
})

it.each<[string, object]>([
  ['directory', { directory: 'acme.test' }],
  ['directory', { directory: 'https://user:password@acme.test/' }],
  ['accountKey', { accountKey: 'a secret key' }],
  ['contact[0]', { contact: ['a@example.com'] }],
  ['agreeToTerms', { agreeToTerms: undefined }],
  ['eab.hmacKey', { eab: { kid: '1', hmacKey: 'a secret key' } }],
  ['timeout', { timeout: 0 }],
  ['ca', { ca: '' }],
  ['ca', { ca: '/etc/ca.pem' }],
  ['ca', { ca: 1 }],
  ['signal', { signal: {} }],
])('says what is wrong with %s', (path, wrong) => {
  const options = { directory: 'https://acme.test/', accountKey, agreeToTerms: true, ...wrong }
  const make = () => new AcmeClient(options as AcmeClientOptions, 'acme')
  expect(make).toThrow(TypeError)
  expect(make).toThrow(new RegExp(`^acme\\.${path.replace(/[[\].]/g, '\\$&')}: got`))
  expect(make).not.toThrow(/secret/)
})

async function authorityKey() {
  const { AuthorityKeyIdentifierExtension } = await import('@peculiar/x509')
  return new AuthorityKeyIdentifierExtension('69885b6b87464041e1b37b847ba0ae2cde01c8d4')
}
