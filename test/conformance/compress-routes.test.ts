import * as zlib from 'node:zlib'
import { createProxy, type ProxyOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type Answer, type HttpClient, httpClient } from '../kit/client.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const text = 'a line that compresses well\n'.repeat(400)
const plain: OriginHandler = (_req, res) =>
  void res.writeHead(200, { 'Content-Type': 'text/plain', ETag: '"one"' }).end(text)
const gzipped: OriginHandler = (_req, res) =>
  void res
    .writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' })
    .end(zlib.gzipSync(text))

/** A proxy in front of an origin, with a client. */
async function site(handler: OriginHandler, options: (url: string) => ProxyOptions) {
  const origin = own(await originServer(handler))
  const proxy = own(createProxy(options(origin.url)))
  const { port } = await proxy.listen()
  return { origin, client: own(httpClient({ port })) as HttpClient }
}

const asking = (path: string, ...accept: string[]) => ({
  path,
  headers: accept.flatMap((one) => ['Accept-Encoding', one]),
})
const codingOf = ({ headers }: Answer) => value(headers, 'content-encoding')
/** A level that is given is kept to however busy the machine is. */
const steady = { level: { gzip: 6, br: 4 } }

describe('compression by route', () => {
  it('leaves a route alone, codes one otherwise, and the rest as the proxy does', async () => {
    const { client } = await site(plain, (x) => ({
      upstreams: { x },
      routes: [
        { path: '/off', upstream: 'x', compress: false },
        { path: '/br', upstream: 'x', compress: { encodings: ['br'] } },
        { path: '/long', upstream: 'x', compress: { threshold: '1mb' } },
        { path: '/', upstream: 'x' },
      ],
      compress: { ...steady, encodings: ['gzip', 'br'] },
    }))
    const got = []
    for (const path of ['/off', '/br', '/long', '/']) {
      const answer = await client.ask(asking(path, 'gzip, br'))
      got.push([path, codingOf(answer), value(answer.headers, 'etag'), value(answer.headers, 'vary')])
    }
    expect(got).toEqual([
      ['/off', undefined, '"one"', undefined],
      ['/br', 'br', 'W/"one"', 'Accept-Encoding'],
      // Its length isn't known before it has come.
      ['/long', undefined, '"one"', 'Accept-Encoding'],
      ['/', 'gzip', 'W/"one"', 'Accept-Encoding'],
    ])
  })

  it('codes one route alone', async () => {
    const { client } = await site(plain, (x) => ({
      upstreams: { x },
      routes: [
        { path: '/on', upstream: 'x', compress: steady },
        { path: '/', upstream: 'x' },
      ],
    }))
    expect(codingOf(await client.ask(asking('/on', 'gzip')))).toBe('gzip')
    expect(codingOf(await client.ask(asking('/', 'gzip')))).toBeUndefined()
  })
})

describe('compression in a proxy', () => {
  it('codes what layers further in have made of plain bodies, and error pages', async () => {
    const { client } = await site(plain, (x) => ({
      upstreams: { x, gone: 'http://127.0.0.1:1' },
      routes: [
        { path: '/gone', upstream: 'gone' },
        { path: '/', upstream: 'x' },
      ],
      pages: { 502: `<p>${'gone '.repeat(500)}</p>` },
      onResponse: (reply) => ({
        ...reply,
        headers: [...reply.headers, 'X-Saw', String(reply.headers.join().includes('gzip'))],
      }),
      compress: steady,
    }))
    const answer = await client.ask(asking('/', 'gzip'))
    expect([codingOf(answer), value(answer.headers, 'x-saw')]).toEqual(['gzip', 'false'])
    const page = await client.ask(asking('/gone', 'gzip'))
    expect([page.status, codingOf(page)]).toEqual([502, 'gzip'])
    expect(zlib.gunzipSync(page.body).toString()).toContain('gone gone')
  })

  it('decodes what a target has coded, for the layers and the cache, and codes it for each client', async () => {
    const seen: string[] = []
    const { client, origin } = await site(gzipped, (x) => ({
      upstreams: { x: { targets: [x], decompress: true } },
      onResponse: (reply) => void seen.push(String(reply.headers.join().includes('gzip'))),
      compress: steady,
    }))
    const answers = [
      await client.ask(asking('/', 'br')),
      await client.ask(asking('/')),
      await client.ask(asking('/', 'gzip')),
    ]
    expect(answers.map(codingOf)).toEqual(['br', undefined, 'gzip'])
    expect(answers[1]?.text).toBe(text)
    expect(seen).toEqual(['false', 'false', 'false'])
    expect(origin.requests).toHaveLength(3)
  })

  it('with a cache fetches once for all clients of a target that codes for each', async () => {
    const { client, origin } = await site(
      (req, res) => {
        const coded = /gzip/.test(String(req.headers['accept-encoding']))
        res.writeHead(200, {
          'Cache-Control': 'max-age=60',
          'Content-Type': 'text/plain',
          Vary: 'accept-encoding, Origin',
          ...(coded ? { 'Content-Encoding': 'gzip' } : {}),
        })
        res.end(coded ? zlib.gzipSync(text) : text)
      },
      (x) => ({ upstreams: { x: { targets: [x], decompress: true } }, cache: true, compress: steady }),
    )
    const answers = [asking('/', 'br'), asking('/', 'gzip'), asking('/')]
    const got = []
    for (const one of answers) got.push(await client.ask(one))
    expect(got.map(codingOf)).toEqual(['br', 'gzip', undefined])
    expect(value(got[2]?.headers ?? [], 'vary')).toBe('Origin, Accept-Encoding')
    expect(origin.requests).toHaveLength(1)
  })

  it('decodes the bodies of requests, for all or for one route', async () => {
    const echo: OriginHandler = (req, res) =>
      void req.pipe(res.writeHead(200, { 'X-Coding': String(req.headers['content-encoding']) }))
    const ask = (path: string) => ({
      method: 'POST',
      path,
      headers: ['Content-Encoding', 'gzip', 'Content-Type', 'text/plain'],
      body: zlib.gzipSync(text),
    })
    const all = await site(echo, (x) => ({ upstreams: { x }, decompressRequests: true }))
    const answer = await all.client.ask(ask('/'))
    expect([answer.text, value(answer.headers, 'x-coding')]).toEqual([text, 'undefined'])
    const one = await site(echo, (x) => ({
      upstreams: { x },
      routes: [
        { path: '/in', upstream: 'x', decompressRequests: { maxSize: 1000 } },
        { path: '/', upstream: 'x' },
      ],
    }))
    expect((await one.client.ask(ask('/in'))).status).toBe(413)
    expect(value((await one.client.ask(ask('/'))).headers, 'x-coding')).toBe('gzip')
  })

  it('codes the bodies of requests once a target has said that it takes them', async () => {
    const codings: (string | undefined)[] = []
    const { client } = await site(
      (req, res) => {
        codings.push(req.headers['content-encoding'])
        req.resume().on('end', () => res.writeHead(200, { 'Accept-Encoding': 'gzip' }).end())
      },
      (x) => ({ upstreams: { x: { targets: [x], compressRequests: { level: 6 } } } }),
    )
    for (let i = 0; i < 2; i++)
      await client.ask({ method: 'POST', headers: ['Content-Type', 'text/plain'], body: text })
    expect(codings).toEqual([undefined, 'gzip'])
  })
})
