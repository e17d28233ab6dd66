import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { basicAuth, cors, forwardAuth, jwt, requestId, signUrl } from '@sluice/access'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { testCertificate } from '../kit/certificate.js'
import { http2Fronts, listening, rawFronts } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value } from '../kit/raw-request.js'
import { tokenIssuer } from '../kit/token-issuer.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const credentials = `Basic ${btoa('ann:x')}`
const layers = async () => {
  const service = own(await originServer((_req, res) => void res.setHeader('X-Group', 'staff').end()))
  return [
    requestId({ generate: () => 'made' }) as never,
    basicAuth({ users: { ann: 'x' }, header: 'X-User' }) as never,
    forwardAuth({ url: service.url, copy: ['X-Group', 'X-Absent'] }),
  ]
}

describe.each(rawFronts)('fields that say who asks, through $name', (kind) => {
  it('are nobody else’s, behind the body too, however they are spelt', async () => {
    const made = await accessSite(own, kind, await layers())
    const forged = ['X-User', 'x_user', 'X.User', 'X-Group', 'X~Absent', 'X-Absent', 'X-Request-Id']
    const lines = (names: string[]) => names.map((name) => `${name}: root\r\n`).join('')
    await rawRequest(
      made.port,
      `POST / HTTP/1.1\r\nHost: a\r\nAuthorization: ${credentials}\r\n${lines(forged)}Transfer-Encoding: chunked\r\n\r\n` +
        `2\r\nok\r\n0\r\n${lines([...forged, 'X-Sum'])}\r\n`,
      { responses: 1 },
    )
    const [asked] = made.origin.requests
    expect(await asked?.body().then(String)).toBe('ok')
    // Some transports carry none.
    expect([[], ['X-Sum', 'root']]).toContainEqual(asked?.rawTrailers)
    expect((asked?.rawHeaders ?? []).filter((text) => text === 'root')).toEqual([])
    expect(['x-user', 'x-group', 'x-request-id'].map((name) => value(asked?.rawHeaders ?? [], name))).toEqual(
      ['ann', 'staff', 'made'],
    )
  })
})

describe.each(http2Fronts)('fields that say who asks, through $name', (kind) => {
  it('are nobody else’s, behind the body too', async () => {
    const made = await accessSite(own, kind, await layers())
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const session = connectHttp2(`${kind.tls ? 'https' : 'http'}://127.0.0.1:${made.port}`, ca ? { ca } : {})
    own({ close: () => session.destroy() })
    const stream = session.request(
      { ':method': 'POST', ':path': '/', authorization: credentials },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-user': 'root', x_group: 'root', 'x-sum': '1' }))
    stream.end('ok')
    expect((await within(once(stream, 'response'), 'the response'))[0]).toMatchObject({ ':status': 200 })
    expect(await made.origin.requests[0]?.body().then(String)).toBe('ok')
    expect(made.origin.requests[0]?.rawTrailers.join()).not.toContain('root')
  })
})

describe('who asks', () => {
  it('is nobody whose name has blanks around it, which the target would not see', async () => {
    const users = { users: () => true, header: 'X-User' }
    const made = await accessSite(own, listening, [basicAuth(users) as never])
    const status = async (name: string): Promise<number> =>
      (
        await made.client.ask({
          headers: ['Authorization', `Basic ${Buffer.from(`${name}:x`).toString('base64')}`],
        })
      ).status
    for (const name of [' root', 'root ', '\u00a0root', 'root\u3000']) expect(await status(name)).toBe(401)
    expect(await status('ro ot')).toBe(200)
    expect(made.told('x-user')).toEqual([['ro ot']])
    expect(made.refused).toEqual(Array(4).fill('401 credentials-malformed'))
  })

  it('is nobody of whom a token says it with blanks', async () => {
    const issuer = own(await tokenIssuer(Date.now))
    const layer = jwt({ jwks: issuer.jwks, issuer: 'issuer', audience: 'api', headers: { 'X-User': 'sub' } })
    const made = await accessSite(own, listening, [layer as never])
    const token = issuer.token({ sub: ' root' })
    expect((await made.client.ask({ headers: ['Authorization', `Bearer ${token}`] })).status).toBe(401)
    expect(made.refused).toEqual(['401 token-claim'])
  })

  it('is said once to the service that decides', async () => {
    const service = own(await originServer((_req, res) => void res.end()))
    const layer = forwardAuth({ url: service.url })
    const made = await accessSite(own, listening, [layer], undefined, { guard: false })
    const two = 'Authorization: Bearer mine\r\nAuthorization: Bearer forged\r\n'
    const answer = await rawRequest(made.port, `GET / HTTP/1.1\r\nHost: a\r\n${two}\r\n`, { responses: 1 })
    expect(answer.responses[0]?.status).toBe(400)
    expect(made.refused).toEqual(['400 authorization-repeated'])
    expect([service.requests, made.origin.requests]).toEqual([[], []])
  })
})

describe('a page without an origin', () => {
  it('reads nothing that is for one user, whatever a function says', async () => {
    const made = await accessSite(own, listening, [cors({ origins: () => true, credentials: true })])
    for (const [origin, is] of [
      ['null', undefined],
      ['https://a.example', 'https://a.example'],
    ] as const) {
      const { headers } = await made.client.ask({ headers: ['Origin', origin] })
      expect(value(headers, 'access-control-allow-origin')).toBe(is)
    }
  })
})

describe('options that could only be wrong', () => {
  const tokens = { issuer: 'a', audience: 'b' }
  const secret = 'a secret that nobody knows'
  it.each<[string, () => unknown, RegExp]>([
    [
      'a shared secret among keys',
      () => jwt({ ...tokens, jwks: { keys: [{ kty: 'oct', k: 'hunter2' }] } }),
      /jwt\.jwks/,
    ],
    [
      'a key that signs',
      () => jwt({ ...tokens, jwks: { keys: [{ kty: 'EC', d: 'hunter2' }] } }),
      /jwt\.jwks/,
    ],
    [
      'keys behind a password',
      () => jwt({ ...tokens, jwks: 'https://a:hunter2@b/' }),
      /jwt\.jwks: got a text/,
    ],
    [
      'a service behind one',
      () => forwardAuth({ url: 'https://a:hunter2@b/' }),
      /forwardAuth\.url: got a text/,
    ],
    ['a password alone', () => basicAuth('ann:hunter2' as never), /basicAuth: got a text, takes \{ users/],
    ['a secret alone', () => signUrl('/a', 'hunter2 and so on' as never), /signUrl: got a text/],
    [
      'a URL with a password',
      () => signUrl('https://a:hunter2@b/', { secret, expires: '1h' }),
      /url: got a text/,
    ],
    ['a path on another site', () => signUrl('/\\hunter2/a', { secret, expires: '1h' }), /url: got/],
    ['a path with a line break', () => signUrl('/\n/b/a', { secret, expires: '1h' }), /url: got/],
  ])('%s', (name, make, says) => {
    expect(make).toThrow(says)
    if (!name.includes('path')) expect(make).not.toThrow(/hunter2/)
  })
})
