import { createServer } from 'node:http'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { fronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const secrets = [
  'Cookie',
  'sid=SECRET',
  'Authorization',
  'Bearer SECRET',
  'Proxy-Authorization',
  'Basic SECRET',
  'X-Api-Key',
  'SECRET',
  'X-CSRF-Token',
  'SECRET',
  'X-Amz-Security-Token',
  'SECRET',
  'X-Client-Secret',
  'SECRET',
  'X-Forwarded-For',
  'SECRET',
  'Forwarded',
  'for=SECRET',
  'X-Real-IP',
  'SECRET',
]

describe.each(fronts)('Max-Forwards through $name', (kind) => {
  it.each(['OPTIONS', 'TRACE'])('of %s is less by one at the target', async (method) => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    for (const left of ['1', '70', '99999999999999999999'])
      await front.client.ask({ method, headers: ['max-forwards', left] })
    const got = origin.requests.map(({ rawHeaders }) => values(rawHeaders, 'max-forwards'))
    expect(got).toEqual([['0'], ['69'], ['2147483646']])
  })

  it.each(['GET', 'POST', 'DELETE'])('of %s passes as it is', async (method) => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    await front.client.ask({ method, headers: ['Max-Forwards', '0'] })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'max-forwards')).toEqual(['0'])
  })

  it.each(['OPTIONS', 'TRACE'])('that is junk passes as it is with %s', async (method) => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    for (const junk of ['-1', 'x', '1.0']) await front.client.ask({ method, headers: ['Max-Forwards', junk] })
    const got = origin.requests.map(({ rawHeaders }) => value(rawHeaders, 'max-forwards'))
    expect(got).toEqual(['-1', 'x', '1.0'])
  })

  it('0 ends OPTIONS here, with what passes', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask({ method: 'OPTIONS', headers: ['Max-Forwards', '0'] })
    expect(answer).toMatchObject({ status: 204, text: '', complete: true })
    expect(value(answer.headers, 'allow')).toBe('GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE')
    expect(origin.requests).toHaveLength(0)
    expect(front.inFlight).toBe(0)
  })

  it('0 ends OPTIONS with a body here, and the connection serves the next request', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const ask = { method: 'OPTIONS', headers: ['Max-Forwards', '0'], body: 'x'.repeat(1000) }
    expect((await front.client.ask(ask)).status).toBe(204)
    expect((await front.client.ask()).status).toBe(200)
  })

  it('0 ends TRACE here, with the request as it came but what is secret', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, trust: ['127.0.0.0/8'] }))
    const headers = [
      'Host',
      'site.example',
      'Max-Forwards',
      '0',
      'Via',
      '1.1 before',
      'X-Mine',
      'a',
      ...secrets,
    ]
    const answer = await front.client.ask({ method: 'TRACE', path: '/a%2F/?q', headers })
    expect(answer.status).toBe(200)
    expect(value(answer.headers, 'content-type')).toBe('message/http')
    const [line, ...fields] = answer.text.split('\r\n')
    expect(line).toBe(`TRACE /a%2F/?q HTTP/${kind.http2 ? '2.0' : '1.1'}`)
    const lower = fields.map((field) => field.toLowerCase())
    expect(lower).toEqual(
      expect.arrayContaining(['host: site.example', 'via: 1.1 before', 'x-mine: a', 'max-forwards: 0']),
    )
    expect(answer.text).not.toContain('SECRET')
    expect(answer.text.endsWith('\r\n\r\n')).toBe(true)
    expect(origin.requests).toHaveLength(0)
    expect(front.inFlight).toBe(0)
  })
})

describe('Max-Forwards', () => {
  it('ends where it is 0, behind proxies that count', async () => {
    const origin = own(await originServer())
    const inner = own(createProxy({ upstreams: { site: origin.url }, via: 'inner' }))
    const outer = own(
      createProxy({ upstreams: { site: `http://127.0.0.1:${(await inner.listen()).port}` }, via: 'outer' }),
    )
    const front = own(await listen(createServer(outer.listener)))
    const trace = async (left: string) =>
      front.client.ask({ method: 'TRACE', headers: ['Max-Forwards', left] })
    expect((await trace('0')).text).not.toContain('Via')
    expect((await trace('1')).text).toContain('Via: 1.1 outer\r\n')
    expect((await trace('1')).text).toContain('Max-Forwards: 0\r\n')
    expect(origin.requests).toHaveLength(0)
    expect((await trace('2')).status).toBe(200)
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'max-forwards')).toEqual(['0'])
  })

  it('on two lines is junk', async () => {
    const origin = own(await originServer())
    const proxy = own(createProxy({ upstreams: { site: origin.url }, guard: { validate: false } }))
    const { port } = await proxy.listen()
    const head =
      'OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n'
    expect((await rawRequest(port, head)).responses[0]).toMatchObject({ status: 200 })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'max-forwards')).toEqual(['1', '0'])
  })

  it('0 shows in a TRACE below a mount path what came, not what is left of it', async () => {
    const origin = own(await originServer())
    const proxy = own(createProxy(origin.url))
    const app = express()
    app.use('/api', proxy.listener)
    const front = own(await listen(createServer(app)))
    const answer = await front.client.ask({ method: 'TRACE', path: '/api/x', headers: ['Max-Forwards', '0'] })
    expect(answer.text).toMatch(/^TRACE \/api\/x HTTP\/1\.1\r\n/)
  })
})
