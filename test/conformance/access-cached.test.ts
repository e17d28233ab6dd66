import { basicAuth, forwardAuth, jwt, signedUrl, signUrl } from '@sluice/access'
import { Dictionaries, resolveDictionaries, sharedDictionaries } from '@sluice/compress'
import type { Client, Context, Layer } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { listening, threeFronts } from '../kit/fronts.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { tokenIssuer } from '../kit/token-issuer.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const basic = (name: string): string[] => ['Authorization', `Basic ${btoa(`${name}:wonder`)}`]

interface Case {
  readonly name: string
  make(): Promise<{ layer: Layer<Context & Client>; as(name: string): string[] }>
}

const cases: readonly Case[] = [
  {
    name: 'basicAuth',
    make: async () => ({
      layer: basicAuth({ users: { ann: 'wonder', bob: 'wonder' }, header: 'X-User' }) as never,
      as: basic,
    }),
  },
  {
    name: 'jwt',
    make: async () => {
      const issuer = own(await tokenIssuer(Date.now))
      const layer = jwt({
        jwks: issuer.jwks,
        issuer: 'issuer',
        audience: 'api',
        headers: { 'X-User': 'sub' },
      })
      return {
        layer: layer as never,
        as: (name) => ['Authorization', `Bearer ${issuer.token({ sub: name })}`],
      }
    },
  },
  {
    name: 'forwardAuth, by a cookie',
    make: async () => {
      const service = own(
        await originServer((req, res) => {
          const user = /^session=(\w+)$/.exec(req.headers.cookie ?? '')?.[1]
          if (user === undefined) res.writeHead(401).end()
          else res.writeHead(200, { 'X-User': user }).end()
        }),
      )
      return {
        layer: forwardAuth({ url: service.url, copy: ['X-User'] }),
        as: (name) => ['Cookie', `session=${name}`],
      }
    },
  },
]

const kinds = threeFronts.flatMap((front) =>
  cases.map((each) => ({ front, each, name: `${each.name} through ${front.name}` })),
)

const greets =
  (control: string): OriginHandler =>
  (req, res) =>
    void res.setHeader('Cache-Control', control).end(`for ${req.headers['x-user']}`)

describe.each(kinds)('a cache inside of $name', ({ front, each }) => {
  it('gives nobody what was made for somebody else', async () => {
    const { layer, as } = await each.make()
    const { client, origin } = await accessSite(own, front, [layer], greets('max-age=60'), { cache: true })
    for (const name of ['ann', 'bob', 'ann'])
      expect((await client.ask({ headers: as(name) })).text).toBe(`for ${name}`)
    expect(origin.requests).toHaveLength(3)
    expect((await client.ask()).status).toBe(401)
    const together = await Promise.all(
      ['ann', 'bob', 'ann', 'bob'].map((name) => client.ask({ headers: as(name) })),
    )
    expect(together.map(({ text }) => text)).toEqual(['for ann', 'for bob', 'for ann', 'for bob'])
  })

  it('shares what says that it is for all, with those alone who are let in', async () => {
    const { layer, as } = await each.make()
    const { client, origin } = await accessSite(own, front, [layer], greets('public, max-age=60'), {
      cache: true,
    })
    for (const name of ['ann', 'bob']) expect((await client.ask({ headers: as(name) })).text).toBe('for ann')
    expect(origin.requests).toHaveLength(1)
    expect((await client.ask()).status).toBe(401)
  })
})

describe('a cache inside of signedUrl', () => {
  it('shares one answer among all URLs of a path, each judged first', async () => {
    const secret = 'a secret that nobody knows'
    const clock = { now: Date.now() }
    const made = await accessSite(
      own,
      listening,
      [signedUrl({ secret, now: () => clock.now })],
      greets('max-age=600'),
      {
        cache: true,
      },
    )
    const short = signUrl('/film', { secret, expires: '1m' })
    const long = signUrl('/film', { secret, expires: '2m' })
    const status = async (path: string) => (await made.client.ask({ path })).status
    expect([await status(short), await status(long)]).toEqual([200, 200])
    expect(made.origin.requests).toHaveLength(1)
    clock.now += 61_000
    expect([await status(short), await status(long), await status('/film')]).toEqual([403, 200, 403])
    expect(made.origin.requests).toHaveLength(1)
  })
})

describe.each(cases)('dictionaries outside of $name', ({ make }) => {
  it('are never made of what was made for one user', async () => {
    const { layer, as } = await make()
    const options = resolveDictionaries({ match: '/*' })
    const dictionaries = sharedDictionaries(new Dictionaries(options, () => ({ dcb: true, dcz: false })))
    let control = 'max-age=60'
    const { client } = await accessSite(own, listening, [dictionaries, layer], (req, res) => {
      res.setHeader('ETag', '"1"')
      greets(control)(req, res, undefined as never)
    })
    const isOne = async (): Promise<boolean> => {
      const { headers, text } = await client.ask({ headers: as('ann') })
      expect(text).toBe('for ann')
      return value(headers, 'use-as-dictionary') !== undefined
    }
    // Who knows a hash could ask whether somebody else has got its bytes.
    expect(await isOne()).toBe(false)
    control = 'public, max-age=60'
    expect(await isOne()).toBe(true)
  })
})
