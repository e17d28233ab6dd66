import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { type SignedUrlOptions, signedUrl, signUrl } from '@sluice/access'
import type { Client, Context, Layer } from '@sluice/core'
import { pathPolicy } from '@sluice/route'
import express from 'express'
import fc from 'fast-check'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { type FrontKind, fronts, listening } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const secret = 'a secret that nobody knows'
const start = Date.parse('2026-06-01T12:00:00Z')

async function site(
  kind: FrontKind,
  options: Partial<SignedUrlOptions> = {},
  further: readonly Layer<Context & Client>[] = [],
) {
  const clock = { now: start }
  const layer = signedUrl({ secret, now: () => clock.now, ...options })
  const made = await accessSite(own, kind, [...further, layer])
  const sign = (url: string, more: Partial<Parameters<typeof signUrl>[1]> = {}) =>
    signUrl(url, { secret, expires: '1m', now: () => clock.now, ...more })
  const status = async (path: string, method = 'GET') => (await made.client.ask({ path, method })).status
  return { ...made, clock, sign, status }
}

describe.each(fronts)('signedUrl through $name', (kind) => {
  it('lets a signed URL pass until its end, without what it is signed by', async () => {
    const { clock, client, origin, refused, sign, status } = await site(kind)
    const path = sign('/files/a%20b.mp4?x=1&y=%2F')
    expect(path).toMatch(/^\/files\/a%20b\.mp4\?x=1&y=%2F&expires=\d{10}&signature=[\w-]{43}$/)
    expect((await client.ask({ path })).text).toBe('ok')
    expect(await status(path, 'HEAD')).toBe(200)
    expect(await status(sign('/plain'))).toBe(200)
    expect(origin.requests.map(({ url }) => url)).toEqual([
      '/files/a%20b.mp4?x=1&y=%2F',
      '/files/a%20b.mp4?x=1&y=%2F',
      '/plain',
    ])
    clock.now += 59_999
    expect(await status(path)).toBe(200)
    clock.now += 1
    const late = await client.ask({ path })
    expect([late.status, late.text]).toEqual([403, '403 Forbidden\n'])
    expect(refused).toEqual(['403 signature-expired'])
    expect(origin.requests).toHaveLength(4)
  })

  it('lets no other pass', async () => {
    const { origin, refused, sign, status } = await site(kind)
    const path = sign('/a/b?c=d')
    const [, signature = ''] = path.split('&signature=')
    const other = `${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`
    const wrong = [
      path.replace('/a/b', '/a/c'),
      path.replace('/a/b', '/a/%62'),
      path.replace('/a/b', '//a/b'),
      path.replace('c=d', 'c=e'),
      path.replace('c=d', 'c=d&c=e'),
      path.replace(/expires=\d/, 'expires=9'),
      path.replace('expires=', 'expires=0'),
      path.replace(signature, other),
      sign('/a/b?c=d', { secret: 'another secret, unknown' }),
    ]
    const missing = [
      '/a/b?c=d',
      `${path}&utm=1`,
      `${path}x`,
      path.slice(0, -1),
      path.replace('&signature', '&Signature'),
      path.replace(/(expires=\d+)&(signature=.*)/, '$2&$1'),
      path.replace('&expires', ';expires'),
    ]
    for (const each of [...wrong, ...missing]) expect([each, await status(each)]).toEqual([each, 403])
    expect(await status(path, 'POST')).toBe(403)
    expect(refused).toEqual([
      ...wrong.map(() => '403 signature-wrong'),
      ...missing.map(() => '403 signature-missing'),
      '403 signature-wrong',
    ])
    expect(origin.requests).toEqual([])
    expect(await status(path)).toBe(200)
  })

  it('goes by the path as it was asked for, where the target gets the one form of it', async () => {
    const { origin, sign, status } = await site(kind, {}, [pathPolicy('normalise')])
    for (const path of ['/caf%c3%a9', '/a%7Eb?c=%7e', '/a//b', '/plain'])
      expect([path, await status(sign(path))]).toEqual([path, 200])
    expect(origin.requests.map(({ url }) => url)).toEqual(['/caf%C3%A9', '/a~b?c=%7e', '/a/b', '/plain'])
    // What was signed is another path to whoever asks for this one.
    expect(await status(sign('/a/b').replace('/a/b', '/a//b'))).toBe(403)
    expect(await status(sign('/a//b').replace('/a//b', '/a/b'))).toBe(403)
    expect(origin.requests).toHaveLength(4)
  })
})

describe('signedUrl', () => {
  it('takes URLs of any of its secrets, so that one can be exchanged', async () => {
    const { sign, status } = await site(listening, { secret: ['the new secret of ours', secret] })
    expect(await status(sign('/a'))).toBe(200)
    expect(await status(sign('/a', { secret: ['the new secret of ours', secret] }))).toBe(200)
    expect(await status(sign('/a', { secret: 'the oldest secret of ours' }))).toBe(403)
  })

  it('goes by the names of its parameters, and leaves others alone', async () => {
    const { origin, sign, status } = await site(listening, { expires: 'x-end', signature: 'x-sig' })
    const path = sign('/a?expires=soon&signature=mine', { names: { expires: 'x-end', signature: 'x-sig' } })
    expect(await status(path)).toBe(200)
    expect(origin.requests[0]?.url).toBe('/a?expires=soon&signature=mine')
  })

  it('lets a method pass that was signed', async () => {
    const { sign, status } = await site(listening)
    const put = sign('/upload', { method: 'PUT' })
    expect(await status(put, 'PUT')).toBe(200)
    expect(await status(put)).toBe(403)
  })

  it('counts the path that the client has asked for, below a mount', async () => {
    const origin = own(await originServer())
    const proxy = own(createProxy({ upstreams: { a: origin.url }, use: [signedUrl({ secret })] }))
    const app = express()
    app.use('/media', proxy.listener)
    const { client } = own(await listen(createServer(app)))
    const path = signUrl('/media/film', { secret, expires: '1h' })
    expect((await client.ask({ path })).status).toBe(200)
    expect(origin.requests[0]?.url).toBe('/film')
    const within = signUrl('/film', { secret, expires: '1h' })
    expect((await client.ask({ path: `/media${within}` })).status).toBe(403)
  })
})

describe('signedUrl behind paths: normalise', () => {
  it('goes by the path that is there where another layer has put one since', async () => {
    const elsewhere: Layer<Context & Client> = (next) => (ctx) => {
      ctx.out.path = ctx.out.path.replace('/a/b', '/secret')
      return next(ctx)
    }
    const { origin, sign, status } = await site(listening, {}, [pathPolicy('normalise'), elsewhere])
    expect(await status(sign('/a//b'))).toBe(403)
    expect(await status(sign('/secret').replace('/secret', '/a//b'))).toBe(200)
    expect(origin.requests.map(({ url }) => url)).toEqual(['/secret'])
  })

  it('finds the one signature within another', async () => {
    const names = { expires: 'x-end', signature: 'x-sig' }
    const further = [pathPolicy('normalise'), signedUrl({ secret, ...names, now: () => start })]
    const { origin, sign, status } = await site(listening, {}, further)
    expect(await status(sign(sign('/a//b'), { names }))).toBe(200)
    expect(origin.requests.map(({ url }) => url)).toEqual(['/a/b'])
  })

  it('takes no parameters that the one form is without', async () => {
    const { origin, status } = await site(listening, {}, [pathPolicy('normalise')])
    // By somebody who signs a path with no query; behind the semicolon they belong to the dots.
    const signed = `/a/..;&expires=${start / 1_000 + 60}`
    const signature = createHmac('sha256', secret).update(`GET\n${signed}`).digest('base64url')
    expect(await status(`${signed}&signature=${signature}`)).toBe(403)
    expect(origin.requests).toEqual([])
  })

  it('counts the path that the client has asked for, below a mount', async () => {
    const origin = own(await originServer())
    const upstreams = { a: origin.url }
    const proxy = own(createProxy({ upstreams, paths: 'normalise', access: { signedUrl: { secret } } }))
    const app = express()
    app.use('/media', proxy.listener)
    const { client } = own(await listen(createServer(app)))
    const path = signUrl('/media/a//b%7e', { secret, expires: '1h' })
    expect((await client.ask({ path })).status).toBe(200)
    expect(origin.requests.map(({ url }) => url)).toEqual(['/a/b~'])
  })
})

describe('signUrl', () => {
  const options = { secret, expires: new Date(start + 60_000), now: () => start }

  it('gives what can be computed from what is told of it', () => {
    const url = signUrl('https://site.example/a b?c=d#top', options)
    const signed = `/a%20b?c=d&expires=${start / 1_000 + 60}`
    const signature = createHmac('sha256', secret).update(`GET\n${signed}`).digest('base64url')
    expect(url).toBe(`https://site.example${signed}&signature=${signature}#top`)
  })

  it.each<[string, unknown, object, RegExp]>([
    ['no URL', 'site.example/a', {}, /^url: got 'site.example\/a'/],
    ['a URL of another scheme', 'ftp://a/b', {}, /^url: got 'ftp/],
    ['a URL with a user', 'https://a:b@c/d', {}, /^url: got/],
    ['a URL from its host on', '//a/b', {}, /^url: got/],
    ['one that is signed', '/a?signature=x', {}, /^url: got a URL with the parameter signature/],
    ['an end that is over', '/a', { expires: new Date(start - 1) }, /^signUrl.expires: got/],
    ['an end that is none', '/a', { expires: new Date(Number.NaN) }, /^signUrl.expires: got/],
    ['no time', '/a', { expires: 0 }, /^signUrl.expires: got 0/],
    ['a time that is none', '/a', { expires: 'soon' }, /^signUrl.expires: got 'soon'/],
    ['a short secret', '/a', { secret: 'short' }, /^signUrl.secret: got a text, takes a text of 16/],
    ['a method in small letters', '/a', { method: 'put' }, /^signUrl.method: got 'put'/],
  ])('throws at %s', (_, url, more, says) => {
    expect(() => signUrl(url as string, { ...options, ...more })).toThrow(says)
    expect(() => signUrl(url as string, { ...options, ...more })).toThrow(TypeError)
  })

  it('signs what passes, and what is changed anywhere does not', async () => {
    const layer = signedUrl({ secret, now: () => start })
    const run = (path: string): string => {
      const out = { method: 'GET', path, headers: [], body: null }
      void layer(() => ({ status: 200, headers: [], body: null }))({ out, req: { url: path } } as never)
      return out.path
    }
    const part = fc.stringMatching(/^[\w.~%! ü&=+-]{0,12}$/).map((text) => encodeURI(text))
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 4 }),
        fc.option(part),
        fc.nat(),
        fc.integer({ min: 33, max: 126 }),
        (path, query, at, code) => {
          const plain = `/${path.join('/')}${query === null || query === '' ? '' : `?${query}`}`
          fc.pre(!plain.startsWith('//') && !/(expires|signature)=/.test(plain))
          const url = new URL(plain, 'http://a')
          const bare = `${url.pathname}${url.search}`
          fc.pre(!bare.startsWith('//'))
          const made = signUrl(bare, options)
          expect(run(made)).toBe(bare)
          const index = at % made.length
          const changed = `${made.slice(0, index)}${String.fromCharCode(code)}${made.slice(index + 1)}`
          fc.pre(changed !== made)
          expect(() => run(changed)).toThrow(expect.objectContaining({ status: 403 }))
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
