import { createServer, type IncomingMessage } from 'node:http'
import { gzipSync } from 'node:zlib'
import { balance, roundRobin } from '@sluice/balance'
import { attach, chain, fromConnect } from '@sluice/core'
import { forward, wireTransport } from '@sluice/forward'
import { retry } from '@sluice/resilience'
import { createUpstream } from '@sluice/upstream'
import express from 'express'
import { createProxy } from 'sluice'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { deadTarget } from '../kit/dead-target.js'
import { listen, type Mounted } from '../kit/listen.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const keepRawBody = express.json({
  verify: (req, _res, bytes) => {
    ;(req as IncomingMessage & { rawBody?: Buffer }).rawBody = bytes
  },
})

const json = ['Content-Type', 'application/json']
/** Spaces and order that no serializer gives back. */
const body = '{ "b" : 1.0,\n"a":"\\u00e9" }'

/** An app that runs these layers before the proxy. */
async function app(...before: express.RequestHandler[]): Promise<{ front: Mounted; origin: Origin }> {
  const origin = own(await originServer(async (_req, res, request) => void res.end(await request.body())))
  const proxy = own(createProxy(origin.url))
  const server = express()
  for (const layer of before) server.use(layer)
  server.use('/', proxy.listener)
  return { origin, front: own(await listen(createServer(server))) }
}

describe('a body that a parser has read before the proxy', () => {
  it.each([
    ['with a length', false],
    ['in chunks', true],
  ])('%s is replayed byte for byte from req.rawBody', async (_how, chunked) => {
    const { front, origin } = await app(keepRawBody)
    const answer = await front.client.ask({ method: 'POST', headers: json, body, chunked })
    expect(answer).toMatchObject({ status: 200, text: body, complete: true })
    const got = origin.requests[0]?.rawHeaders ?? []
    expect(values(got, 'content-length')).toEqual([String(body.length)])
    expect(values(got, 'transfer-encoding')).toEqual([])
  })

  it('without req.rawBody is refused at once, with what to do, and never hangs', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { front, origin } = await app(express.json())
    const answer = await front.client.ask({ method: 'POST', headers: json, body })
    expect(answer).toMatchObject({ status: 500, complete: true })
    expect(answer.text).toMatch(/rawBody/)
    expect(answer.text).toMatch(/before/)
    expect(origin.requests).toHaveLength(0)
    // Whoever runs the proxy is told once for the process, hence maybe by an earlier test.
    for (const [warning] of warn.mock.calls) expect(String(warning)).toMatch(/rawBody/)
  })

  it('that was parsed from a coded form is refused: its bytes are not those that were sent', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { front, origin } = await app(keepRawBody)
    const headers = [...json, 'Content-Encoding', 'gzip']
    const answer = await front.client.ask({ method: 'POST', headers, body: gzipSync(body) })
    expect(answer).toMatchObject({ status: 500, complete: true })
    expect(origin.requests).toHaveLength(0)
  })

  it('of a type that the parser leaves alone is streamed as ever', async () => {
    const { front } = await app(express.json())
    const bytes = Buffer.alloc(300_000, 'abc')
    const answer = await front.client.ask({
      method: 'POST',
      headers: ['Content-Type', 'text/plain'],
      body: bytes,
    })
    expect(answer.status).toBe(200)
    expect(answer.body.equals(bytes)).toBe(true)
  })

  it('that was empty is no body', async () => {
    const { front, origin } = await app(express.json())
    expect(await front.client.ask({ method: 'POST', headers: json, body: '' })).toMatchObject({
      status: 200,
      text: '',
    })
    expect(await front.client.ask({ method: 'GET' })).toMatchObject({ status: 200, text: '' })
    expect(origin.requests.map(({ method }) => method)).toEqual(['POST', 'GET'])
  })

  it('and the connection goes on after a refusal', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { front } = await app(express.json())
    for (let i = 0; i < 3; i++) {
      expect(await front.client.ask({ method: 'POST', headers: json, body })).toMatchObject({ status: 500 })
      expect(await front.client.ask()).toMatchObject({ status: 200 })
    }
  })

  it('that only a listener began to read is refused as well', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { front, origin } = await app((req, _res, next) => {
      req.once('data', () => next())
    })
    const answer = await front.client.ask({ method: 'POST', body: 'some bytes' })
    expect(answer).toMatchObject({ status: 500, complete: true })
    expect(origin.requests).toHaveLength(0)
  })
})

describe('a body that a parser reads within retry, which keeps it', () => {
  it.each([
    ['at once', []],
    ['after 100 Continue', ['Expect', '100-continue']],
  ])('%s goes to the next target byte for byte', async (_how, expects) => {
    const origin = own(await originServer(async (_req, res, request) => void res.end(await request.body())))
    const dead = own(await deadTarget())
    const upstream = own(createUpstream({ name: 'u', targets: [dead.url, origin.url] }))
    const transport = own(wireTransport())
    const handler = chain()
      .use(retry())
      .use(fromConnect(keepRawBody))
      .use(balance(upstream, roundRobin()))
      .handle(forward({ transport }))
    const server = createServer()
    attach(server, handler)
    const front = own(await listen(server))
    for (const chunked of [false, true]) {
      const headers = [...json, ...expects]
      const answer = await front.client.ask({ method: 'POST', headers, body, chunked })
      expect(answer).toMatchObject({ status: 200, text: body, complete: true })
    }
    expect(origin.requests).toHaveLength(2)
  })
})
