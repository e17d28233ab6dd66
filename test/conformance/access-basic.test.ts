import { scryptSync } from 'node:crypto'
import { type BasicAuthOptions, basicAuth } from '@sluice/access'
import { onRequest, ProxyError } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { type FrontKind, fronts, listening, rawFronts } from '../kit/fronts.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const basic = (name: string, password: string): string[] => [
  'Authorization',
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
]
const site = (kind: FrontKind, options: BasicAuthOptions) => accessSite(own, kind, [basicAuth(options)])

/** As `hashPassword` makes them, but for a cost that takes no time. */
const salt = Buffer.alloc(16, 7)
const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')
const hashed = `$scrypt$ln=10,r=8,p=1$${unpadded(salt)}$${unpadded(scryptSync('wonder', salt, 32, { N: 1024, r: 8, p: 1 }))}`

describe.each(fronts)('basicAuth through $name', (kind) => {
  it('lets in who knows a password, and nobody else', async () => {
    const made = await site(kind, {
      users: { alice: 'wonder', bob: 'builder' },
      realm: 'A "site"',
      header: 'X-User',
    })
    const { client, origin, refused } = made
    for (const headers of [[], basic('alice', 'builder'), basic('carol', 'wonder'), basic('alice', '')]) {
      const answer = await client.ask({ headers })
      expect(answer.status).toBe(401)
      expect(answer.text).toBe('401 Unauthorized\n')
      expect(value(answer.headers, 'www-authenticate')).toBe('Basic realm="A \\"site\\"", charset="UTF-8"')
    }
    expect(origin.requests).toEqual([])
    expect(refused).toEqual(['401 credentials-missing', ...Array(3).fill('401 credentials-wrong')])
    const headers = [...basic('alice', 'wonder'), 'X-User', 'root', 'x_user', 'root']
    const answer = await client.ask({ method: 'POST', headers, body: 'text' })
    expect([answer.status, answer.text]).toEqual([200, 'ok'])
    expect(made.told('authorization')).toEqual([undefined])
    expect(made.told('x-user')).toEqual([['alice']])
    expect(made.told('x_user')).toEqual([undefined])
    expect((await origin.requests[0]?.body())?.toString()).toBe('text')
  })
})

describe.each(rawFronts)('basicAuth at upgrades through $name', (kind) => {
  it('refuses an upgrade as any request', async () => {
    const { port, origin } = await site(kind, { users: { alice: 'wonder' } })
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'
    const { responses } = await rawRequest(port, head, { responses: 1 })
    expect(responses.map(({ status }) => status)).toEqual([401])
    expect(origin.requests).toEqual([])
  })
})

describe('basicAuth', () => {
  it('takes hashed passwords', async () => {
    const { client, refused } = await site(listening, { users: { alice: hashed } })
    const statuses = []
    for (const password of ['wonder', 'wander', 'wonder'])
      statuses.push((await client.ask({ headers: basic('alice', password) })).status)
    statuses.push((await client.ask({ headers: basic('bob', 'wonder') })).status)
    expect(statuses).toEqual([200, 401, 200, 401])
    expect(refused).toEqual(Array(2).fill('401 credentials-wrong'))
  })

  it.each([
    ['no colon', Buffer.from('alice').toString('base64')],
    ['no name', Buffer.from(':wonder').toString('base64')],
    ['no base64', 'YWxpY2U6d29uZGVy!'],
    ['base64 of URLs', 'YWxpY2U6d29u_GVy'],
    ['bytes that are no UTF-8', Buffer.from('alice:wonder\xff', 'latin1').toString('base64')],
    ['a control character', Buffer.from('alice:wonder\n').toString('base64')],
  ])('refuses %s', async (_, coded) => {
    const { client, origin, refused } = await site(listening, { users: () => true })
    const answer = await client.ask({ headers: ['Authorization', `Basic ${coded}`] })
    expect(answer.status).toBe(401)
    expect(origin.requests).toEqual([])
    expect(refused).toEqual(['401 credentials-malformed'])
  })

  it.each(['Basic', 'Bearer abc', 'Basi YTpi', 'YTpi'])('takes %j for none', async (given) => {
    const { client, refused } = await site(listening, { users: () => true })
    expect((await client.ask({ headers: ['Authorization', given] })).status).toBe(401)
    expect(refused).toEqual(['401 credentials-missing'])
  })

  it('refuses two of them, of which a target might read the other', async () => {
    // With it the guard is first to refuse them.
    const layer = basicAuth({ users: { alice: 'wonder' } }) as never
    const made = await accessSite(own, listening, [layer], undefined, { guard: false })
    const { port, origin, refused } = made
    const [name, right] = basic('alice', 'wonder')
    const { responses } = await rawRequest(
      port,
      `GET / HTTP/1.1\r\nHost: a\r\n${name}: ${right}\r\n${name}: ${basic('root', 'x')[1]}\r\n\r\n`,
      { responses: 1 },
    )
    expect(responses[0]?.status).toBe(401)
    expect(refused).toEqual(['401 credentials-missing'])
    expect(origin.requests).toEqual([])
  })

  it('reads names and passwords as UTF-8, with colons in the password, and the scheme in any case', async () => {
    const made = await site(listening, { users: { 'Jürgen 蛙': 'a:b:ö' }, header: 'Remote-User' })
    const [, right = ''] = basic('Jürgen 蛙', 'a:b:ö')
    const answer = await made.client.ask({ headers: ['authorization', right.replace('Basic ', 'bASIC   ')] })
    expect(answer.status).toBe(200)
    expect(made.told('remote-user')).toEqual([[Buffer.from('Jürgen 蛙').toString('latin1')]])
  })

  it('hands the credentials on if it is to', async () => {
    const made = await site(listening, { users: { alice: 'wonder' }, forward: true })
    await made.client.ask({ headers: basic('alice', 'wonder') })
    expect(made.told('authorization')).toEqual([[basic('alice', 'wonder')[1]]])
  })

  it('asks a function, whose yes is true alone', async () => {
    const answers: unknown[] = [
      true,
      Promise.resolve(true),
      false,
      1,
      { name: 'alice' },
      Promise.resolve('yes'),
      undefined,
    ]
    const seen: string[] = []
    const { client } = await site(listening, {
      users: (name, password) => {
        seen.push(`${name} ${password}`)
        return answers.shift() as boolean
      },
    })
    const statuses = []
    for (let i = 0; i < 7; i++) statuses.push((await client.ask({ headers: basic('a', `${i}`) })).status)
    expect(statuses).toEqual([200, 200, 401, 401, 401, 401, 401])
    expect(seen).toEqual(['a 0', 'a 1', 'a 2', 'a 3', 'a 4', 'a 5', 'a 6'])
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('the directory with alice in it is down')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('the directory with alice in it is down')
      },
    ],
  ])('lets nobody in where a function %s', async (_, users) => {
    const { client, origin } = await site(listening, { users })
    const answer = await client.ask({ headers: basic('alice', 'wonder') })
    expect([answer.status, answer.text]).toEqual([500, '500 Internal Server Error\n'])
    expect(origin.requests).toEqual([])
  })

  it('may stand in a route inside of the one of the site', async () => {
    const outer = basicAuth({ users: { alice: 'wonder', bob: 'builder' } })
    const inner = basicAuth({ users: { alice: 'wonder' }, header: 'X-User' })
    const made = await accessSite(own, listening, [outer as never, inner as never])
    expect((await made.client.ask({ headers: basic('alice', 'wonder') })).status).toBe(200)
    expect((await made.client.ask({ headers: basic('bob', 'builder') })).status).toBe(401)
    expect(made.told('authorization')).toEqual([undefined])
  })

  it('tells layers further in who it is', async () => {
    const seen: string[] = []
    const layer = basicAuth({ users: { alice: 'wonder' } })
    const made = await accessSite(own, listening, [
      layer as never,
      onRequest((ctx) => void seen.push(`${(ctx as { user?: string }).user} ${ctx.authorized}`)),
    ])
    await made.client.ask({ headers: basic('alice', 'wonder') })
    expect(seen).toEqual(['alice true'])
  })

  it('is one error that may be told of without a secret', async () => {
    const errors: ProxyError[] = []
    const made = await accessSite(own, listening, [
      (next) => async (ctx) => {
        try {
          return await next(ctx)
        } catch (error) {
          errors.push(error as ProxyError)
          throw error
        }
      },
      basicAuth({ users: { alice: 'wonder' } }),
    ])
    await made.client.ask({ headers: basic('alice', 'hunter2') })
    expect(errors).toHaveLength(1)
    expect(errors[0]).toBeInstanceOf(ProxyError)
    expect(JSON.stringify([errors[0]?.message, errors[0]?.headers])).not.toMatch(/alice|hunter2|wonder/)
  })
})
