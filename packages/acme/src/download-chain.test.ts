import { describe, expect, it } from 'vitest'
import { takeCertificate } from '../../../test/kit/acme-order.js'
import { acmeRig, refused } from '../../../test/kit/acme-rig.js'
import type { HostileAcme } from '../../../test/kit/hostile-acme.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { x509Root } from '../../../test/kit/x509.js'
import { AcmeClient } from './index.js'

trapUnhandled()
const own = owner()
const { met } = acmeRig(own, AcmeClient)
const take = (client: AcmeClient) => takeCertificate(client, ['a.test'])
const day = 86_400_000

describe('a certificate', () => {
  const other = x509Root()
  it.each<[string, RegExp, (server: HostileAcme) => unknown]>([
    ['for another key', /another key/, async (server) => (server.certificate = { keys: (await other).keys })],
    [
      'for other names',
      /not for a\.test/,
      (server) => (server.certificate = { names: ['b.test', '*.test.test'] }),
    ],
    [
      'for no names',
      /not for a\.test/,
      (server) => (server.certificate = { names: [], commonName: 'a.test' }),
    ],
    ['that has expired', /expired/, (server) => (server.certificate = { notBefore: 0, notAfter: day })],
    [
      'of next month',
      /not valid before/,
      (server) =>
        (server.certificate = { notBefore: Date.now() + 30 * day, notAfter: Date.now() + 60 * day }),
    ],
    [
      'with a key beside it',
      /other than certificates/,
      (server) => server.at('certificate', (r) => ({ ...r, body: r.body + server.root.key })),
    ],
    [
      'and no certificate',
      /no certificate/,
      (server) => server.at('certificate', (r) => ({ ...r, body: '' })),
    ],
    [
      'of garbage',
      /can't be read/,
      (server) => server.at('certificate', (r) => ({ ...r, body: block('AAAA') })),
    ],
    [
      'with a chain that does not fit',
      /isn't signed by/,
      (server) =>
        server.at('certificate', (r) => ({
          ...r,
          body: r.body + r.body,
        })),
    ],
    [
      'with a chain of fifty',
      /holds 50/,
      (server) => server.at('certificate', (r) => ({ ...r, body: r.body.repeat(50) })),
    ],
  ])('%s is not taken', async (_, what, lie) => {
    const { server, client } = await met()
    await lie(server)
    expect(await refused(take(client))).toMatchObject({
      code: 'wrong_certificate',
      phase: 'certificate',
      message: expect.stringMatching(what),
    })
  })

  it('of another authority than the one above it in the chain is not taken', async () => {
    const { server, client } = await met()
    const { cert } = await other
    server.at('certificate', (reply) => ({ ...reply, body: reply.body + cert }))
    expect(await refused(take(client))).toMatchObject({ code: 'wrong_certificate' })
  })

  it('comes with its intermediates, and nothing but them', async () => {
    const { server, client } = await met()
    server.certificate = { by: await server.root.intermediate() }
    server.at('certificate', (reply) => ({ ...reply, body: `Here you are:\n${reply.body}\r\n\r\n` }))
    const { pem } = await take(client)
    expect(pem.replace(/-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n/g, '.')).toBe('..')
  })

  it('covers a wildcard by a wildcard alone', async () => {
    const { server, client } = await met()
    await takeCertificate(client, ['*.a.test', 'a.test'])
    server.certificate = { names: ['a.test', 'b.a.test'] }
    expect(await refused(takeCertificate(client, ['*.a.test']))).toMatchObject({ code: 'wrong_certificate' })
  })

  it("of a preferred authority is looked for in the other chains, as far as these are the server's", async () => {
    const { server, client } = await met()
    const another = await x509Root({ commonName: 'Another Root' })
    let pem = ''
    server.at('certificate', (reply) => {
      reply.headers['link'] =
        `<${server.directory}>;rel="index", <${server.origin}/alternate/1>;rel="alternate"`
      pem = reply.body
      return reply
    })
    server.at('alternate', (reply) => ({ ...reply, body: pem }))
    const taken = await takeCertificate(client, ['a.test'], 'http-01', () => {}, 'Another Root')
    expect(server.requests.filter(({ step }) => step === 'alternate')).toHaveLength(1)
    expect(taken.pem).toBe(pem)
    server.at('alternate', (reply) => ({ ...reply, body: another.cert }))
    expect(
      await refused(takeCertificate(client, ['a.test'], 'http-01', () => {}, 'Another Root')),
    ).toMatchObject({ code: 'wrong_certificate' })
    server.at('certificate', (reply) => {
      reply.headers['link'] = '<https://elsewhere.test/1>;rel="alternate"'
      return reply
    })
    expect(
      await refused(takeCertificate(client, ['a.test'], 'http-01', () => {}, 'Another Root')),
    ).toMatchObject({ code: 'wrong_url' })
  })
})

function block(text: string): string {
  return `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`
}
