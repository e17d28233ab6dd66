import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import * as zlib from 'node:zlib'
import {
  Dictionaries,
  type DictionaryOptions,
  type DictionarySupport,
  dictionarySupport,
  resolveDictionaries,
  sharedDictionaries,
} from '@sluice/compress'
import { type Client, type Context, fromConnect, type Layer } from '@sluice/core'
import compression from 'compression'
import { describe, expect, it, vi } from 'vitest'
import type { Answer, Ask } from '../kit/client.js'
import { type Front, type FrontOptions, listening, threeFronts } from '../kit/fronts.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/**
 * What this Node can. One that can't has brotli pass over the dictionary, so all but the size stays the same there: the tests say that it can,
 * and look at the size where it does.
 */
const real = dictionarySupport()
const brotli = () => ({ dcb: true, dcz: false })

const layer = (options: DictionaryOptions, support: () => DictionarySupport): Layer<Context & Client> =>
  sharedDictionaries(new Dictionaries(resolveDictionaries(options), support))

const digest = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()
const available = (bytes: Uint8Array): string[] => [
  'Available-Dictionary',
  `:${digest(bytes).toString('base64')}:`,
]
const takes = ['Accept-Encoding', 'gzip, deflate, br, zstd, dcb, dcz']

/** A bundle as one version has it: nothing in a version comes twice, and versions differ in a few places. */
function bundle(version: number, modules = 400): Buffer {
  const text = Array.from({ length: modules }, (_, i) => {
    const hash = digest(Buffer.from(`module ${i} ${i % 97 === 0 ? version : ''}`)).toString('base64')
    return `define(${i}, function () { return "${hash}" })\n`
  })
  return Buffer.from(text.join(''))
}

/** What a client that has `dictionary` makes of an answer, if that says which dictionary it is coded by. */
function decoded({ body, headers }: Pick<Answer, 'body' | 'headers'>, dictionary: Uint8Array): Buffer {
  const coding = value(headers, 'content-encoding')
  if (coding === undefined) return body
  expect(coding).toMatch(/^dc[bz]$/)
  const magic = coding === 'dcb' ? 'ff444342' : '5e2a4d1820000000'
  const prefix = Buffer.concat([Buffer.from(magic, 'hex'), digest(dictionary)])
  expect(body.subarray(0, prefix.length).toString('hex')).toBe(prefix.toString('hex'))
  const { brotliDecompressSync, zstdDecompressSync } = zlib as typeof zlib & Record<string, unknown>
  const decode = (coding === 'dcb' ? brotliDecompressSync : zstdDecompressSync) as (
    bytes: Uint8Array,
    options: object,
  ) => Buffer
  return decode(body.subarray(prefix.length), { dictionary })
}

const v1 = bundle(1)
const v2 = bundle(2)

interface Served {
  readonly origin: Origin
  readonly front: Front
  /** What the target gives now. */
  now: { bytes: Buffer; headers: Record<string, string>; status: number }
  get(ask?: Ask): Promise<Answer>
  /** Asks as a client that has these bytes. */
  having(dictionary: Uint8Array, ask?: Ask): Promise<Answer>
}

/** A target with versions of one bundle, and a proxy with dictionaries before it. */
async function serving(
  options: DictionaryOptions = { match: '/app.js' },
  {
    around = [],
    kind = listening,
    ...more
  }: Partial<FrontOptions> & { around?: Layer<Context & Client>[]; kind?: typeof listening } = {},
  support = brotli,
): Promise<Served> {
  const served = { now: { bytes: v1, headers: {}, status: 200 } } as unknown as Served
  const origin = own(
    await originServer((req, res) => {
      const { bytes, headers, status } = served.now
      const etag = `"${digest(bytes).toString('hex').slice(0, 8)}"`
      const all = { 'Content-Type': 'text/javascript', ETag: etag, ...headers }
      const known = req.headers['if-none-match']?.replaceAll('W/', '') === etag
      res.writeHead(known ? 304 : status, known ? all : { ...all, 'Content-Length': bytes.length })
      res.end(known ? undefined : bytes)
    }),
  )
  const front = own(
    await kind.start({
      targets: origin.url,
      use: [...around, layer(options, support)],
      ...more,
    }),
  )
  const get = (ask: Ask = {}): Promise<Answer> =>
    front.client.ask({ path: '/app.js', ...ask, headers: [...takes, ...(ask.headers ?? [])] })
  return Object.assign(served, {
    origin,
    front,
    get,
    having: (dictionary: Uint8Array, ask: Ask = {}) =>
      get({ ...ask, headers: [...available(dictionary), ...(ask.headers ?? [])] }),
  })
}

const codingOf = ({ headers }: Answer): string | undefined => value(headers, 'content-encoding')

describe.each(threeFronts)('dictionaries, $name', (kind) => {
  it('send the next version as what is new in it, to clients that have the one before', async () => {
    const site = await serving(undefined, { kind })
    const first = await site.get()
    expect([first.body.equals(v1), codingOf(first)]).toEqual([true, undefined])
    expect(value(first.headers, 'use-as-dictionary')).toBe('match="/app.js"')
    expect(value(first.headers, 'vary')).toBe('Accept-Encoding, Available-Dictionary')

    site.now.bytes = v2
    const next = await site.having(v1)
    expect(codingOf(next)).toBe('dcb')
    expect(decoded(next, v1).equals(v2)).toBe(true)
    expect(value(next.headers, 'vary')).toBe('Accept-Encoding, Available-Dictionary')
    expect(value(next.headers, 'content-length')).toBeUndefined()
    expect(value(next.headers, 'etag')).toMatch(/^W\/"\w+"$/)
    if (real.dcb) expect(next.body.length).toBeLessThan(v2.length / 20)

    // It was kept while it went out coded, and is the next one's dictionary.
    site.now.bytes = bundle(3)
    const third = await site.having(v2)
    expect([codingOf(third), decoded(third, v2).equals(bundle(3))]).toEqual(['dcb', true])
    expect((await site.get()).body.equals(bundle(3))).toBe(true)
  })
})

describe('what this Node can', () => {
  it('is found by trying: brotli from 24 on, zstd from some 22 on, and else there are no dictionaries', async () => {
    const [major = 0] = process.versions.node.split('.').map(Number)
    if (major < 22) expect(real).toEqual({ dcb: false, dcz: false })
    if (major === 22) expect(real.dcb).toBe(false)
    if (major >= 24) expect(real).toEqual({ dcb: true, dcz: true })
    const site = await serving(undefined, {}, dictionarySupport)
    const first = await site.get()
    site.now.bytes = v2
    const next = await site.having(v1)
    expect(decoded(next, v1).equals(v2)).toBe(true)
    const best = real.dcz ? 'dcz' : real.dcb ? 'dcb' : undefined
    console.log(`dictionaries: Node ${process.version} has ${best ?? 'no codec that takes one'}`)
    expect([codingOf(next), value(first.headers, 'use-as-dictionary') !== undefined]).toEqual([
      best,
      best !== undefined,
    ])
    if (best !== undefined) expect(next.body.length).toBeLessThan(v2.length / 20)
  })

  it('may be zstd alone', async () => {
    const site = await serving(undefined, {}, () => ({ dcb: false, dcz: real.dcz }))
    await site.get()
    site.now.bytes = v2
    const next = await site.having(v1)
    expect([codingOf(next), decoded(next, v1).equals(v2)]).toEqual([real.dcz ? 'dcz' : undefined, true])
  })

  it('may be nothing: then all is as without the option, which is looked up once', async () => {
    const support = vi.fn<() => DictionarySupport>(() => ({ dcb: false, dcz: false }))
    const site = await serving(undefined, {}, support)
    expect(support).not.toHaveBeenCalled()
    for (const _ of [1, 2]) {
      const { body, headers } = await site.having(v1)
      expect(body.equals(v1)).toBe(true)
      expect([value(headers, 'use-as-dictionary'), value(headers, 'vary')]).toEqual([undefined, undefined])
      expect(value(headers, 'etag')).toMatch(/^"/)
    }
    expect(support).toHaveBeenCalledTimes(1)
  })
})

describe('a client', () => {
  const codings = async (site: Served, ...asks: Ask[]): Promise<unknown[]> => {
    await site.get()
    site.now.bytes = v2
    const found: unknown[] = []
    for (const ask of asks) {
      const answer = await site.front.client.ask({ path: '/app.js', ...ask })
      expect(decoded(answer, v1).equals(v2)).toBe(true)
      // Whatever it got, others get something else.
      expect(value(answer.headers, 'vary')).toBe('Accept-Encoding, Available-Dictionary')
      found.push(codingOf(answer))
    }
    return found
  }

  it('that names no dictionary, an unknown one, or none that can be read gets the plain bytes', async () => {
    const hash = `:${digest(v1).toString('base64')}:`
    const wrong = [
      [],
      available(Buffer.from('something else')),
      ['Available-Dictionary', hash.slice(1, -1)],
      ['Available-Dictionary', hash.replace(/^:./, ':')],
      ['Available-Dictionary', `"${digest(v1).toString('hex')}"`],
      ['Available-Dictionary', `${hash}, ${hash}`],
      ['Available-Dictionary', `${hash};${'a'.repeat(8000)}`],
      [...available(v1), ...available(v1)],
    ].map((headers) => ({ headers: [...takes, ...headers] }))
    const right = [hash, ` ${hash} `, hash.replace('=', ''), `${hash};a=1`].map((text) => ({
      headers: [...takes, 'Available-Dictionary', text],
    }))
    expect(await codings(await serving(), ...wrong, ...right)).toEqual([
      ...wrong.map(() => undefined),
      ...right.map(() => 'dcb'),
    ])
  })

  it('gets a coding that it takes, and would rather have than others', async () => {
    const accepts = [
      'dcb',
      'gzip, dcb;q=0.5',
      'gzip;q=0.5, dcb',
      'dcb;q=0, dcz',
      'gzip, br',
      `${'x, '.repeat(4000)}dcb`,
      '',
    ]
    const asks = accepts.map((each) => ({ headers: ['Accept-Encoding', each, ...available(v1)] }))
    expect(await codings(await serving(), ...asks, { headers: available(v1) })).toEqual([
      'dcb',
      undefined,
      'dcb',
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('that may not read the response gets it plain (RFC 9842 section 9.3.3)', async () => {
    const site = await serving()
    const from = (...fields: string[]): Ask => ({ headers: [...takes, ...available(v1), ...fields] })
    const cross = ['Sec-Fetch-Site', 'cross-site', 'Sec-Fetch-Mode']
    const origin = ['Origin', 'https://b.example']
    const asks = [
      from(),
      from('Sec-Fetch-Site', 'same-origin', 'Sec-Fetch-Mode', 'no-cors'),
      from(...cross.slice(0, 2)),
      from(...cross, 'navigate'),
      from(...cross, 'no-cors'),
      from(...cross, 'cors', ...origin),
      from(...cross, 'websocket'),
    ]
    expect(await codings(site, ...asks)).toEqual([
      'dcb',
      'dcb',
      'dcb',
      'dcb',
      undefined,
      undefined,
      undefined,
    ])
    for (const [allowed, fields, coding] of [
      ['*', origin, 'dcb'],
      ['https://b.example', origin, 'dcb'],
      ['https://c.example', origin, undefined],
      ['*', [], undefined],
    ] as const) {
      site.now.headers = { 'Access-Control-Allow-Origin': allowed }
      expect(codingOf(await site.having(v1, { headers: [...cross, 'cors', ...fields] }))).toBe(coding)
    }
  })

  it('that may not read it is not told to use it either', async () => {
    const site = await serving()
    const cross = ['Sec-Fetch-Site', 'cross-site', 'Sec-Fetch-Mode', 'no-cors']
    expect(value((await site.get({ headers: cross })).headers, 'use-as-dictionary')).toBeUndefined()
    expect(value((await site.get()).headers, 'use-as-dictionary')).toBeDefined()
  })

  it('of another host has nothing to ask of this one', async () => {
    const site = await serving()
    const hosts = ['localhost', 'app.localhost:81', '127.0.0.2']
    await site.get({ headers: ['Host', 'localhost:80'] })
    site.now.bytes = v2
    for (const host of hosts)
      expect(codingOf(await site.having(v1, { headers: ['Host', host] })), host).toBeUndefined()
    expect(codingOf(await site.having(v1, { headers: ['Host', 'LOCALHOST:80'] }))).toBe('dcb')
  })

  it('without TLS gets none of it, unless somebody who is trusted has taken that off', async () => {
    const asked = async (site: Served, ...headers: string[]): Promise<unknown[]> => {
      site.now.bytes = v1
      const first = await site.get({ headers })
      site.now.bytes = v2
      return [value(first.headers, 'use-as-dictionary'), codingOf(await site.having(v1, { headers }))]
    }
    const host = ['Host', 'shop.example']
    const forwarded = ['X-Forwarded-For', '1.2.3.4', 'X-Forwarded-Proto', 'https']
    expect(await asked(await serving(), ...host)).toEqual([undefined, undefined])
    expect(await asked(await serving(), ...host, ...forwarded)).toEqual([undefined, undefined])
    const trusting = await serving(undefined, { trust: ['127.0.0.1'] })
    expect(await asked(trusting, ...host, ...forwarded)).toEqual(['match="/app.js"', 'dcb'])
  })
})

describe('a response', () => {
  it('that must not or can not well be coded stays as it is', async () => {
    const site = await serving({ match: '/*' })
    const get = async (path = '/app.js'): Promise<unknown[]> => {
      const answer = await site.having(v1, { path })
      expect(answer.body.equals(site.now.bytes)).toBe(true)
      return [codingOf(answer), value(answer.headers, 'vary')]
    }
    await site.get()
    const cases: [Partial<Served['now']>, string?][] = [
      [{ headers: { 'Cache-Control': 'max-age=60, no-transform' } }],
      [{ headers: { 'Content-Encoding': 'br' } }, 'br'],
      [{ headers: { 'Content-Encoding': 'unheard-of' } }, 'unheard-of'],
      [{ headers: { 'Content-Type': 'image/png' } }],
      [{ headers: { 'Content-Type': 'text/event-stream' } }],
      [{ bytes: Buffer.from('short') }],
      [{ status: 404 }],
    ]
    for (const [now, coding] of cases) {
      site.now = { bytes: v2, headers: {}, status: 200, ...now }
      expect(await get()).toEqual([coding, undefined])
    }
    // Of a part the whole may come coded, to whoever asks for that.
    site.now = {
      bytes: v2,
      headers: { 'Content-Range': `bytes 0-${v2.length - 1}/${v2.length * 2}` },
      status: 206,
    }
    expect(await get()).toEqual([undefined, 'Accept-Encoding, Available-Dictionary'])
    site.now = { bytes: v2, headers: { 'Content-Encoding': 'identity' }, status: 200 }
    expect(codingOf(await site.having(v1))).toBe('dcb')
  })

  it('to HEAD has the fields of GET', async () => {
    const site = await serving()
    const withoutDate = ({ headers }: Answer): string[] =>
      headers.filter(
        (_, i) => !/^(?:date|transfer-encoding|connection|keep-alive)$/i.test(headers[i - (i % 2)] ?? ''),
      )
    const head = await site.get({ method: 'HEAD' })
    expect(withoutDate(head)).toEqual(withoutDate(await site.get()))
    site.now.bytes = v2
    const coded = await site.having(v1, { method: 'HEAD' })
    expect([codingOf(coded), coded.body.length]).toEqual(['dcb', 0])
    expect(withoutDate(coded)).toEqual(withoutDate(await site.having(v1)))
  })

  it('that has not changed is found again by the tag that the client knows', async () => {
    const site = await serving()
    await site.get()
    site.now.bytes = v2
    const { headers } = await site.having(v1)
    const tag = value(headers, 'etag') as string
    const again = await site.having(v1, { headers: ['If-None-Match', tag] })
    expect([again.status, value(again.headers, 'etag'), value(again.headers, 'vary')]).toEqual([
      304,
      tag,
      'Accept-Encoding, Available-Dictionary',
    ])
    const strong = tag.replace('W/', '')
    const plain = await site.get({ headers: ['If-None-Match', strong] })
    expect([plain.status, value(plain.headers, 'etag')]).toEqual([304, strong])
  })

  it('that is not for all, has no versions or is too large is no dictionary', async () => {
    const site = await serving({ match: '/app.js', maxEntry: 30_000 })
    const cases: [Partial<Served['now']>, string[]?][] = [
      [{ headers: { 'Cache-Control': 'private, max-age=60' } }],
      [{ headers: { 'Cache-Control': 'no-store' } }],
      [{ headers: { 'Set-Cookie': 'a=b' } }],
      [{ headers: { Vary: 'Cookie' } }],
      [{ headers: { Vary: '*' } }],
      [{ headers: { 'Content-Encoding': 'br' } }],
      [{ headers: {} }, ['Authorization', 'Basic YTpi']],
      [{ bytes: v1.subarray(0, 20_000), status: 404 }],
      [{ bytes: v1 }],
    ]
    for (const [now, headers = []] of cases) {
      const bytes = now.bytes ?? v1.subarray(0, 20_000)
      site.now = { headers: {}, status: 200, ...now, bytes }
      const first = await site.get({ headers })
      expect(value(first.headers, 'use-as-dictionary'), JSON.stringify(now)).toBeUndefined()
      site.now = { bytes: v2, headers: {}, status: 200 }
      expect(codingOf(await site.having(bytes))).toBeUndefined()
    }
    site.now = { bytes: v1.subarray(0, 20_000), headers: { 'Cache-Control': 'public' }, status: 200 }
    await site.get({ headers: ['Authorization', 'Basic YTpi'] })
    site.now.bytes = v2
    expect(codingOf(await site.having(v1.subarray(0, 20_000)))).toBe('dcb')
  })

  it('without a validator is no dictionary, with a date it is', async () => {
    const answer = (res: ServerResponse, headers: object): void => {
      res.writeHead(200, { 'Content-Type': 'text/javascript', ...headers }).end(v1)
    }
    let headers: object = {}
    const origin = own(await originServer((_req, res) => answer(res, headers)))
    const use = [layer({ match: '/*' }, brotli)]
    const { client } = own(await listening.start({ targets: origin.url, use }))
    expect(value((await client.ask()).headers, 'use-as-dictionary')).toBeUndefined()
    headers = { 'Last-Modified': 'Mon, 01 Jun 2026 12:00:00 GMT' }
    expect(value((await client.ask()).headers, 'use-as-dictionary')).toBeDefined()
  })

  it('whose target says what it is a dictionary for goes on with that', async () => {
    const site = await serving()
    site.now.headers = { 'Use-As-Dictionary': 'match="/other/*"' }
    expect(value((await site.get()).headers, 'use-as-dictionary')).toBe('match="/other/*"')
  })

  it('is no dictionary when it was not whole, and nobody takes it for whole', async () => {
    const cut = deferred<void>()
    let whole = false
    const origin = own(
      await originServer(async (_req, res) => {
        res.writeHead(200, {
          'Content-Type': 'text/javascript',
          ETag: `"${whole}"`,
          'Content-Length': v1.length,
        })
        if (whole) return res.end(v1)
        res.write(v1.subarray(0, 20_000))
        await cut.promise
        return res.destroy()
      }),
    )
    const use = [layer({ match: '/*', given: [{ bytes: v2, match: '/*' }] }, brotli)]
    const { client } = own(await listening.start({ targets: origin.url, use }))
    const calls = [client.call({ headers: takes }), client.call({ headers: [...takes, ...available(v2)] })]
    const heads = await Promise.all(calls.map(({ head }) => head))
    expect(value(heads[1]?.headers ?? [], 'content-encoding')).toBe('dcb')
    cut.resolve()
    for (const call of calls) expect((await call.answer()).complete).toBe(false)
    whole = true
    const asked = await client.ask({ headers: [...takes, ...available(v1.subarray(0, 20_000))] })
    expect(value(asked.headers, 'content-encoding')).toBeUndefined()
  })
})

describe('dictionaries that are kept', () => {
  it('go when others come, those first that were not asked for the longest', async () => {
    const site = await serving({ match: '/*', maxCount: 2 })
    const versions = [1, 2, 3].map((version) => bundle(version))
    const has = async (bytes: Buffer): Promise<boolean> => {
      site.now.bytes = bundle(9)
      // By HEAD, since what GET gives would be kept.
      return codingOf(await site.having(bytes, { method: 'HEAD' })) === 'dcb'
    }
    const [a, b, c] = versions as [Buffer, Buffer, Buffer]
    for (const bytes of [a, b]) {
      site.now.bytes = bytes
      await site.get()
    }
    expect([await has(b), await has(a)]).toEqual([true, true])
    site.now.bytes = c
    await site.get()
    expect([await has(a), await has(b), await has(c)]).toEqual([true, false, true])
    // One that has gone is kept again when it comes again.
    site.now.bytes = b
    await site.get()
    expect([await has(a), await has(b), await has(c)]).toEqual([false, true, true])
  })

  it('are bounded in bytes', async () => {
    const site = await serving({ match: '/*', maxSize: v1.length * 2 + 100 })
    for (const version of [1, 2, 3]) {
      site.now.bytes = bundle(version)
      await site.get()
    }
    site.now.bytes = bundle(9)
    const has = async (bytes: Buffer): Promise<boolean> =>
      codingOf(await site.having(bytes, { method: 'HEAD' })) === 'dcb'
    expect([await has(bundle(1)), await has(bundle(3))]).toEqual([false, true])
  })

  it('are dropped while they come, where nobody knew that they would be too large', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/javascript', ETag: '"a"' })
        res.write(v1.subarray(0, 100))
        res.end(v1.subarray(100))
      }),
    )
    const use = [layer({ match: '/*', maxEntry: 1000 }, brotli)]
    const { client } = own(await listening.start({ targets: origin.url, use }))
    const first = await client.ask()
    expect([first.body.equals(v1), first.complete]).toEqual([true, true])
    const next = await client.ask({ headers: [...takes, ...available(v1)] })
    expect(value(next.headers, 'content-encoding')).toBeUndefined()
  })

  it('may be fetched at once in two versions, and by many clients', async () => {
    const gate = deferred<void>()
    const origin = own(
      await originServer(async (req, res) => {
        const bytes = req.url === '/app.js?3' ? bundle(3) : req.url === '/app.js?2' ? v2 : v1
        res.writeHead(200, {
          'Content-Type': 'text/javascript',
          ETag: `"${req.url}"`,
          'Content-Length': bytes.length,
        })
        res.write(bytes.subarray(0, 1000))
        await gate.promise
        res.end(bytes.subarray(1000))
      }),
    )
    const use = [layer({ match: '/app.js' }, brotli)]
    const { client } = own(await listening.start({ targets: origin.url, use }))
    const calls = ['1', '2', '1', '2', '1'].map((query) => client.call({ path: `/app.js?${query}` }))
    await Promise.all(calls.map(({ head }) => head))
    // One leaves: it may be the one whose bytes are kept. Others come later.
    calls[0]?.abort()
    gate.resolve()
    for (const [i, call] of calls.entries())
      if (i > 0) expect((await call.answer()).body.equals(i % 2 === 0 ? v1 : v2)).toBe(true)
    await until(() => origin.requests[0]?.aborted === true || origin.requests.length === 5, 'all to be over')
    await client.ask({ path: '/app.js?1' })
    for (const bytes of [v1, v2]) {
      const next = await client.ask({ path: '/app.js?3', headers: [...takes, ...available(bytes)] })
      expect(value(next.headers, 'content-encoding')).toBe('dcb')
      expect(decoded(next, bytes).equals(bundle(3))).toBe(true)
    }
  })

  it('are meant for the paths that their rule says, and told so', async () => {
    const site = await serving({
      match: { path: '/shared.dict', match: '/page/*', matchDest: ['document', ''], id: 'a "quoted" one' },
    })
    site.now.bytes = v1
    const dictionary = await site.get({ path: '/shared.dict' })
    expect(value(dictionary.headers, 'use-as-dictionary')).toBe(
      'match="/page/*", match-dest=("document" ""), id="a \\"quoted\\" one"',
    )
    expect(value(dictionary.headers, 'vary')).toBeUndefined()
    site.now.bytes = v2
    expect(codingOf(await site.having(v1, { path: '/page/1?a=/x' }))).toBe('dcb')
    const other = await site.having(v1, { path: '/other/page/1' })
    expect([codingOf(other), value(other.headers, 'vary')]).toEqual([undefined, undefined])
  })

  it('may be shared by several chains', async () => {
    const engine = new Dictionaries(resolveDictionaries({ match: '/app.js' }), brotli)
    const host = ['Host', 'localhost']
    const found: unknown[] = []
    for (const bytes of [v1, v2]) {
      const origin = own(
        await originServer((_req, res) => {
          res.writeHead(200, { 'Content-Type': 'text/javascript', ETag: '"a"' }).end(bytes)
        }),
      )
      const use = [sharedDictionaries(engine)]
      const { client } = own(await listening.start({ targets: origin.url, use }))
      const headers = [...takes, ...available(v1), ...host]
      found.push(codingOf(await client.ask({ path: '/app.js', headers })))
    }
    expect(found).toEqual([undefined, 'dcb'])
  })

  it('may be given: they are there from the start, and stay', async () => {
    const site = await serving({ given: [{ bytes: v1, match: '/app.*' }], maxCount: 1 })
    site.now.bytes = v2
    const next = await site.having(v1)
    expect([codingOf(next), decoded(next, v1).equals(v2)]).toEqual(['dcb', true])
    expect(value(next.headers, 'use-as-dictionary')).toBeUndefined()
  })
})

describe('beside other layers', () => {
  it('a cache in between keeps what clients with and without a dictionary get apart', async () => {
    const site = await serving()
    site.now.headers = { 'Cache-Control': 'max-age=60' }
    await site.get()
    site.now.bytes = v2
    const between = own(
      await listening.start({
        targets: site.front.client && `http://127.0.0.1:${site.front.port}`,
        cache: true,
        host: 'original',
      }),
    )
    const ask = async (...headers: string[]): Promise<[string | undefined, boolean, boolean]> => {
      const answer = await between.client.ask({ path: '/app.js', headers: [...takes, ...headers] })
      const hit = /; hit/.test(value(answer.headers, 'cache-status') ?? '')
      return [codingOf(answer), decoded(answer, v1).equals(v2), hit]
    }
    const host = ['Host', `127.0.0.1:${site.front.port}`]
    expect(await ask(...host, ...available(v1))).toEqual(['dcb', true, false])
    expect(await ask(...host)).toEqual([undefined, true, false])
    expect(await ask(...host, ...available(v1))).toEqual(['dcb', true, true])
    expect(await ask(...host)).toEqual([undefined, true, true])
    expect(await ask(...host, ...available(Buffer.from('other')))).toEqual([undefined, true, false])
  })

  it('a cache further in is asked once, and keeps what was coded', async () => {
    const site = await serving(undefined, { cache: true })
    site.now.headers = { 'Cache-Control': 'max-age=60' }
    await site.get()
    await site.front.cache?.purge({ url: `http://127.0.0.1:${site.front.port}/app.js` })
    site.now.bytes = v2
    const answers: Answer[] = []
    for (const _ of [1, 2, 3]) answers.push(await site.having(v1))
    answers.push(await site.get())
    expect(site.origin.requests).toHaveLength(2)
    expect(answers.map((each) => [codingOf(each), decoded(each, v1).equals(v2)])).toEqual([
      ['dcb', true],
      ['dcb', true],
      ['dcb', true],
      [undefined, true],
    ])
    // The first flowed while it was kept as a dictionary; the third is the second's bytes, which were stored.
    const lengths = answers.map(({ headers }) => value(headers, 'content-length'))
    expect(lengths.slice(0, 3)).toEqual([undefined, undefined, String(answers[1]?.body.length)])
    const part = await site.having(v1, { headers: ['Range', 'bytes=10-19'] })
    expect([part.status, codingOf(part), part.body.equals(v2.subarray(10, 20))]).toEqual([
      206,
      undefined,
      true,
    ])
  })

  it('a compressor further out codes what has no dictionary, and leaves alone what has', async () => {
    const site = await serving(undefined, { around: [fromConnect(compression()) as Layer<Context & Client>] })
    const first = await site.get()
    expect(codingOf(first)).toBe('br')
    expect(zlib.brotliDecompressSync(first.body).equals(v1)).toBe(true)
    site.now.bytes = v2
    const next = await site.having(v1)
    expect([codingOf(next), decoded(next, v1).equals(v2)]).toEqual(['dcb', true])
  })

  it('a body of unknown length whose source pauses is not held back', async () => {
    const go = deferred<void>()
    const origin = own(
      await originServer(async (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/html', ETag: '"a"' })
        res.write(v2.subarray(0, 10_000))
        await go.promise
        res.end(v2.subarray(10_000))
      }),
    )
    const use = [layer({ given: [{ bytes: v1, match: '/*' }] }, brotli)]
    const { client } = own(await listening.start({ targets: origin.url, use }))
    const { body } = await client.call({ headers: [...takes, ...available(v1)] }).head
    const plain: Buffer[] = []
    const options = { dictionary: v1 } as zlib.BrotliOptions
    const decoder = zlib.createBrotliDecompress(options).on('data', (part: Buffer) => plain.push(part))
    let prefix = 36
    body.on('data', (part: Buffer) => {
      const rest = part.subarray(prefix)
      prefix -= part.length - rest.length
      decoder.write(rest)
    })
    const got = (): Buffer => Buffer.concat(plain)
    await until(() => got().length >= 10_000, 'what the source has given')
    go.resolve()
    await until(() => got().length === v2.length, 'the rest')
    expect(got().equals(v2)).toBe(true)
    decoder.destroy()
  })

  it('a client that leaves lets the target go', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/html', ETag: '"a"' })
        res.write(v2)
      }),
    )
    const use = [layer({ match: '/*', given: [{ bytes: v1, match: '/*' }] }, brotli)]
    const { client } = own(await listening.start({ targets: origin.url, use }))
    const call = client.call({ headers: [...takes, ...available(v1)] })
    await call.head
    call.abort()
    await (await origin.request(0)).closed
    expect(origin.requests[0]?.aborted).toBe(true)
  })
})
