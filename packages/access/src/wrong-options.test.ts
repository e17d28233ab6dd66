import { describe, expect, it } from 'vitest'
import { accessLayers } from './access-layers.js'
import { basicAuth } from './basic-auth.js'
import { cors } from './cors.js'
import { forwardAuth } from './forward-auth.js'
import { jwt } from './jwt.js'
import { maintenance } from './maintenance.js'
import { requestId } from './request-id.js'
import { securityHeaders } from './security-headers.js'
import { signedUrl } from './signed-url.js'

function faultsOf(make: () => unknown): string[] {
  try {
    make()
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message.split('\n')
  }
  return []
}

const tokens = { jwks: 'https://issuer.example/keys', issuer: 'a', audience: 'b' }
const secret = 'a secret that nobody knows'

describe('a wrong option', () => {
  it.each<[string, () => unknown, string[]]>([
    [
      'no users',
      () => basicAuth({} as never),
      ['basicAuth.users: got nothing, takes passwords by the names of users, or a function'],
    ],
    [
      'an empty table',
      () => basicAuth({ users: {} }),
      ['basicAuth.users: got an object, takes passwords by the names of users: one at least'],
    ],
    [
      'a name with a colon',
      () => basicAuth({ users: { 'a:b': 'x' } }),
      ['basicAuth.users: got an object, takes passwords by the names'],
    ],
    [
      'passwords that are none, all at once',
      () => basicAuth({ users: { ann: '', bob: '$2y$05$hunter2' }, realm: 'a\nb' }),
      [
        "basicAuth.users.ann: got an empty text, takes a text of hashPassword, 'sha256:' with 64 hexadecimal digits, or the password itself",
        'basicAuth.users.bob: got a text, takes a text of hashPassword',
        "basicAuth.realm: got 'a\\nb'",
      ],
    ],
    [
      'users where options are',
      () => basicAuth({ alice: 'hunter2' } as never),
      ['basicAuth.users: got nothing', 'basicAuth.alice: unknown option'],
    ],
    [
      'a field of the proxy',
      () => basicAuth({ users: { a: 'b' }, header: 'X_Forwarded_For' }),
      ["basicAuth.header: got 'X_Forwarded_For', takes the name of a field"],
    ],
    [
      'keys of nowhere',
      () => jwt({ ...tokens, jwks: 'keys.json' }),
      ["jwt.jwks: got 'keys.json', takes a URL of http or https, or a JWK set"],
    ],
    ['keys that are none', () => jwt({ ...tokens, jwks: { keys: [] } }), ['jwt.jwks: got { keys: [] }']],
    [
      'a shared secret',
      () => jwt({ ...tokens, algorithms: ['HS256' as never] }),
      ["jwt.algorithms: got [ 'HS256' ], takes a list of 'RS256'"],
    ],
    [
      'no algorithm',
      () => jwt({ ...tokens, algorithms: ['none' as never] }),
      ["jwt.algorithms: got [ 'none' ]"],
    ],
    [
      'nobody for whom',
      () => jwt({ ...tokens, audience: [] }),
      ['jwt.audience: got [], takes a text, or a list of some'],
    ],
    [
      'keys that are kept for no time',
      () => jwt({ ...tokens, keep: 0 }),
      ['jwt.keep: got 0, takes more than 0'],
    ],
    [
      'a field that ends at each hop',
      () => jwt({ ...tokens, headers: { Connection: 'sub' } }),
      ['jwt.headers: got'],
    ],
    [
      'a service of nowhere',
      () => forwardAuth({ url: '/auth' }),
      ["forwardAuth.url: got '/auth', takes a URL of http or https"],
    ],
    ['a service with a user', () => forwardAuth({ url: 'http://a:b@c/' }), ['forwardAuth.url: got']],
    [
      'fields of the proxy',
      () =>
        forwardAuth({
          url: 'http://a/',
          request: ['X-Forwarded-Uri'],
          copy: ['Host'],
          reply: ['Content-Length'],
        }),
      ['forwardAuth.request[0]', 'forwardAuth.copy[0]', 'forwardAuth.reply[0]'],
    ],
    [
      'an agent that is none',
      () => forwardAuth({ url: 'http://a/', agent: {} as never }),
      ['forwardAuth.agent: got {}, takes an Agent of node:http'],
    ],
    [
      'a short secret',
      () => signedUrl({ secret: ['short', secret] }),
      ['signedUrl.secret[0]: got a text, takes a text of 16 characters or more'],
    ],
    ['no secret', () => signedUrl({ secret: [] }), ['signedUrl.secret: got [], takes at least one text']],
    [
      'a secret alone',
      () => signedUrl(secret as never),
      ['signedUrl: got a text, takes { secret, expires, signature, now }'],
    ],
    [
      'one name for both',
      () => signedUrl({ secret, expires: 'a', signature: 'a' }),
      ["signedUrl.signature: got 'a', takes another name than expires"],
    ],
    [
      'all with cookies',
      () => cors({ origins: '*', credentials: true, headers: '*' }),
      ["cors.origins: got '*', takes neither", "cors.headers: got '*', takes a list with credentials"],
    ],
    ['nobody', () => cors({ origins: [] }), ['cors.origins: got [], takes at least one origin']],
    [
      'what is no origin',
      () =>
        cors({
          origins: ['https://a.example/', 'a.example', '*', 'https://A.example', 'https://a.example:443'],
        }),
      ['cors.origins[0]', 'cors.origins[1]', 'cors.origins[2]', 'cors.origins[3]', 'cors.origins[4]'],
    ],
    [
      'a policy without quotes',
      () => securityHeaders({ contentSecurityPolicy: { directives: { 'script-src': ['self'] } } }),
      ['securityHeaders.contentSecurityPolicy.directives: got'],
    ],
    [
      'a policy that ends',
      () =>
        securityHeaders({
          contentSecurityPolicy: { directives: { 'script-src': ["'self'; report-uri /x"] } },
        }),
      ['securityHeaders.contentSecurityPolicy.directives: got'],
    ],
    [
      'a policy with two lines',
      () => securityHeaders({ contentSecurityPolicy: { directives: { 'script-src': ['a\r\nX: y'] } } }),
      ['securityHeaders.contentSecurityPolicy.directives: got'],
    ],
    [
      'the list of browsers for a day',
      () => securityHeaders({ strictTransportSecurity: { maxAge: '24h', preload: true } }),
      ['securityHeaders.strictTransportSecurity.preload: got true'],
    ],
    [
      'a name that is close',
      () => securityHeaders({ xFrameOption: false } as never),
      ['securityHeaders.xFrameOption: unknown option, did you mean xFrameOptions?'],
    ],
    [
      'another kind of frame',
      () => securityHeaders({ xFrameOptions: 'ALLOW-FROM' as never }),
      ["securityHeaders.xFrameOptions: got 'ALLOW-FROM', takes false, 'SAMEORIGIN', 'DENY'"],
    ],
    [
      'a range with bits behind it',
      () => requestId({ trust: ['10.0.0.1/8'] }),
      ["requestId.trust[0]: got '10.0.0.1/8'"],
    ],
    [
      'whether it is on',
      () => maintenance({} as never),
      ['maintenance.on: got nothing, takes true, false, or a function'],
    ],
    [
      'a range that is none',
      () => maintenance({ on: true, allow: ['localhost'] }),
      ["maintenance.allow[0]: got 'localhost'"],
    ],
  ])('%s is told by its path', (_, make, says) => {
    const faults = faultsOf(make)
    expect(faults).toHaveLength(says.length)
    for (const [i, each] of says.entries()) expect(faults[i]).toContain(each)
    expect(faults.join()).not.toContain('hunter2')
    expect(faults.join()).not.toContain('nobody knows')
  })

  it('of all layers is told at once, by the path that is given', () => {
    const options = {
      basic: { users: {} },
      jwt: tokens,
      signedUrl: { secret: 'short' },
      corss: {},
      maintenance: { on: 1 },
    }
    const faults = faultsOf(() => accessLayers(options as never, 'routes[1].access'))
    expect(faults.map((each) => each.split(':')[0])).toEqual([
      'routes[1].access.maintenance.on',
      'routes[1].access.basic.users',
      'routes[1].access.signedUrl.secret',
      'routes[1].access.corss',
    ])
    const both = faultsOf(() => accessLayers({ basic: { users: { ann: 'hunter2' } }, jwt: tokens }))
    expect(both).toEqual([
      expect.stringMatching(/^access\.jwt: got .* takes nothing beside basic: both read Authorization$/),
    ])
    expect(both.join()).not.toContain('hunter2')
    expect(faultsOf(() => accessLayers({ maintenance: { on: true, allow: ['x'] } }))[0]).toContain(
      'access.maintenance.allow[0]',
    )
  })

  it('is none', () => {
    const made = accessLayers({
      requestId: true,
      securityHeaders: { keep: false },
      maintenance: { on: false },
      cors: { origins: '*' },
      basic: { users: { ann: 'x' } },
      forwardAuth: { url: 'http://auth.example/' },
      signedUrl: { secret },
    })
    expect(Object.keys(made)).toEqual([
      'requestId',
      'securityHeaders',
      'maintenance',
      'cors',
      'credentials',
      'identities',
      'close',
    ])
    expect(made.credentials).toHaveLength(3)
    expect(accessLayers({ requestId: false, securityHeaders: false })).toEqual({
      credentials: [],
      identities: [],
      close: expect.any(Function) as unknown,
    })
  })
})
