import type { Middleware } from '@sluice/core'
import { groupByName } from '@sluice/headers'
import { describe, expect, it } from 'vitest'
import { fronts, http1Fronts } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** The fields of a raw head, as a flat list. */
function fieldsOf(head: string): string[] {
  return head
    .split('\r\n')
    .slice(1)
    .filter((line) => line !== '')
    .flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()])
}

/** Of a flat list those whose names are among these, in any case. */
function among(list: readonly string[], names: readonly string[]): string[] {
  return list.flatMap((name, i) =>
    i % 2 === 0 && names.includes(name.toLowerCase()) ? [name, list[i + 1] as string] : [],
  )
}

const namesOf = (list: readonly string[]): string[] =>
  list.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())

/** Fields to send, with what people have lost: case, order, duplicates, empty values, bytes above 0x7f. */
const odd = [
  'x-lower',
  'a',
  'X-MiXeD-cAsE',
  'b',
  'X-Twice',
  '1',
  'X-Between',
  'c',
  'X-Twice',
  '2',
  'X-Empty',
  '',
  'X-Latin1',
  'caf\xe9 \xff\x80',
  'X-Commas',
  'a, b,c',
  'X-Quoted',
  '"a, b" ; q="\\""',
  'X-Spaces',
  'in  the   middle',
  'x-twice',
  '3',
  'ETag',
  'W/"x"',
  'Accept',
  '*/*',
  'Accept',
  'text/html;q=0.5',
]
const oddNames = [...new Set(namesOf(odd))]

/** Fields as they go out where each name is written once: with the first of its kind. */
function together(list: readonly string[]): string[] {
  return groupByName([...list]).flatMap(([name, found]) => [found].flat().flatMap((one) => [name, one]))
}

describe.each(http1Fronts)('fields over HTTP/1.1 through $name', (kind) => {
  it('of a request keep their case, order and repetitions', async () => {
    const origin = own(await rawOrigin(answering(ok)))
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask({ headers: odd })).toMatchObject({ status: 200 })
    const sent = fieldsOf((await origin.connections[0]?.head()) ?? '')
    expect(among(sent, oddNames)).toEqual(kind.carries.apart ? odd : together(odd))
  })

  it('of an answer keep their case, and of the same name their order and number', async () => {
    const lines = odd.map((_, i) => (i % 2 === 0 ? `${odd[i]}: ${odd[i + 1]}\r\n` : '')).join('')
    const origin = own(await rawOrigin(answering(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 2\r\n\r\nok`)))
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask()
    const got = among(answer.headers, oddNames)
    for (const name of oddNames) expect([name, values(got, name)]).toEqual([name, values(odd, name)])
    if (kind.framework) return
    // Under a framework that has set fields of its own, repeated fields stand together.
    expect(got).toEqual(odd)
  })

  it('the reason phrase is no field and gets the usual words', async () => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 404 Nowhere\r\nContent-Length: 0\r\n\r\n')))
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask()).toMatchObject({ status: 404, text: '' })
  })
})

describe.each(fronts)('fields through $name', (kind) => {
  it('two Set-Cookie stay two, as they were', async () => {
    const cookies = ['a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2; HttpOnly']
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('Set-Cookie', cookies)
        res.end('ok')
      }),
    )
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask()
    expect(values(answer.headers, 'set-cookie')).toEqual(cookies)
  })

  it('Cookie arrives as one field', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    await front.client.ask({
      headers: kind.http2 ? ['Cookie', 'a=1', 'Cookie', 'b=2'] : ['Cookie', 'a=1; b=2'],
    })
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'cookie')).toEqual(['a=1; b=2'])
  })

  it('repeated fields, empty values and bytes above 0x7f survive both ways', async () => {
    const lines = 'X-Twice: 1\r\nX-Empty: \r\nX-Twice: 2\r\nX-Latin1: caf\xe9\xff\r\n'
    const origin = own(await rawOrigin(answering(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 2\r\n\r\nok`)))
    const front = own(await kind.start(origin.url))
    const headers = ['X-Twice', '1', 'X-Empty', '', 'X-Twice', '2', 'X-Latin1', 'caf\xe9\xff']
    const answer = await front.client.ask({ headers })
    const sent = fieldsOf((await origin.connections[0]?.head()) ?? '')
    for (const list of [sent, answer.headers]) {
      expect(values(list, 'x-twice')).toEqual(['1', '2'])
      expect(values(list, 'x-empty')).toEqual([''])
      expect(values(list, 'x-latin1')).toEqual(['caf\xe9\xff'])
    }
  })

  it('nothing is invented: a bare request has Host, the forwarding fields and Via', async () => {
    const origin = own(await rawOrigin(answering(ok)))
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask()
    const sent = namesOf(fieldsOf((await origin.connections[0]?.head()) ?? ''))
    const expected = ['host', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'via']
    if (!kind.carries.noConnection) expected.push('connection')
    expect(sent.toSorted()).toEqual(expected.toSorted())
    const framework = ['x-powered-by']
    const hop = ['connection', 'keep-alive', 'date']
    const received = namesOf(answer.headers).filter(
      (name) => !framework.includes(name) && !hop.includes(name),
    )
    expect(received.toSorted()).toEqual(['content-length', 'via'])
    expect(values(answer.headers, 'date').length).toBeLessThanOrEqual(1)
  })

  it('Date, Server and validators of the target are kept once and as they are', async () => {
    const fields =
      'Date: Tue, 15 Nov 1994 08:12:31 GMT\r\nServer: origin/1\r\nETag: "e"\r\nLast-Modified: Tue, 15 Nov 1994 12:45:26 GMT\r\n'
    const origin = own(await rawOrigin(answering(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`)))
    const front = own(await kind.start(origin.url))
    const { headers } = await front.client.ask()
    expect(values(headers, 'date')).toEqual(['Tue, 15 Nov 1994 08:12:31 GMT'])
    expect(values(headers, 'server')).toEqual(['origin/1'])
    expect(values(headers, 'etag')).toEqual(['"e"'])
    expect(values(headers, 'last-modified')).toEqual(['Tue, 15 Nov 1994 12:45:26 GMT'])
  })

  it('the inbound request is not edited', async () => {
    let before = ''
    let after = ''
    const look: Middleware = (next) => async (ctx) => {
      const picture = (): string => {
        const { method, url, headers, rawHeaders, httpVersion } = ctx.req
        return JSON.stringify({ method, url, headers, rawHeaders, httpVersion })
      }
      before = picture()
      const reply = await next(ctx)
      after = picture()
      return reply
    }
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: `${origin.url}/base`, use: [look] }))
    const headers = [
      'X-Forwarded-For',
      '6.6.6.6',
      'Forwarded',
      'for=6.6.6.6',
      'Via',
      '1.1 x',
      'TE',
      'trailers',
    ]
    await front.client.ask({ path: '/x?y', headers, method: 'POST', body: 'bytes' })
    expect(before).not.toBe('')
    expect(after).toBe(before)
    expect(before).toContain('6.6.6.6')
  })
})

/** Fields of one hop (RFC 9110 section 7.6.1 and kin). Those that HTTP/2 itself forbids are sent on HTTP/1 alone. */
const ofHop = [
  'Keep-Alive',
  'timeout=9',
  'Proxy-Connection',
  'keep-alive',
  'Proxy-Authenticate',
  'Basic',
  'Proxy-Authentication-Info',
  'x',
  'Proxy-Authorization',
  'Basic eDp5',
  'Proxy-Features',
  'x',
  'Proxy-Instruction',
  'x',
  'Security-Scheme',
  'x',
  'ALPN',
  'h2',
  'Close',
  'x',
  'HTTP2-Settings',
  'AAMAAABkAAQAAP__',
]
const forbiddenOnHttp2 = ['keep-alive', 'proxy-connection', 'http2-settings']

describe.each(fronts)('hop-by-hop fields through $name', (kind) => {
  it('of a request are not forwarded', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const list = kind.http2
      ? among(
          ofHop,
          namesOf(ofHop).filter((name) => !forbiddenOnHttp2.includes(name)),
        )
      : ofHop
    await front.client.ask({ headers: [...list, 'X-End', 'to end'] })
    const got = origin.requests[0]?.rawHeaders ?? []
    expect(among(got, namesOf(ofHop))).toEqual([])
    expect(value(got, 'x-end')).toBe('to end')
  })

  it('of an answer are not forwarded, Alt-Svc included', async () => {
    const lines = [
      ...ofHop,
      'Alt-Svc',
      'h2=":1"',
      'TE',
      'trailers',
      'X-End',
      'to end',
      'Connection',
      'X-Named',
      'X-Named',
      'x',
    ]
    const head = lines.map((_, i) => (i % 2 === 0 ? `${lines[i]}: ${lines[i + 1]}\r\n` : '')).join('')
    const origin = own(await rawOrigin(answering(`HTTP/1.1 200 OK\r\n${head}Content-Length: 0\r\n\r\n`)))
    const front = own(await kind.start(origin.url))
    const { headers } = await front.client.ask()
    const gone = [...namesOf(ofHop), 'alt-svc', 'te', 'x-named'].filter((name) => name !== 'keep-alive')
    expect(among(headers, gone)).toEqual([])
    expect(values(headers, 'keep-alive')).not.toContain('timeout=9')
    expect(value(headers, 'x-end')).toBe('to end')
  })

  it('TE goes on as trailers alone, and only if it was in it', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    await front.client.ask({ headers: ['TE', 'trailers'] })
    if (!kind.http2) {
      await front.client.ask({ headers: ['TE', 'gzip, trailers;q=0.5'] })
      await front.client.ask({ headers: ['TE', 'gzip'] })
    }
    const got = origin.requests.map(({ rawHeaders }) => values(rawHeaders, 'te'))
    expect(got).toEqual(kind.http2 ? [['trailers']] : [['trailers'], ['trailers'], []])
  })
})

describe.each(http1Fronts)('fields that Connection names, through $name', (kind) => {
  it('are removed from a request: lists, several lines, empty members, any case', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const headers = [
      'Connection',
      'X-One, , keep-alive,x-TWO',
      'X-One',
      '1',
      'x-two',
      '2',
      'Connection',
      'X-Three',
      'X-Three',
      '3',
      'X-Three',
      '3 again',
      'X-Stays',
      'here',
    ]
    await front.client.ask({ headers })
    const got = origin.requests[0]?.rawHeaders ?? []
    expect(among(got, ['x-one', 'x-two', 'x-three'])).toEqual([])
    expect(value(got, 'x-stays')).toBe('here')
    expect(values(got, 'connection').join()).not.toMatch(/x-/i)
  })

  it('are gone before any layer sees them, so that none is fooled', async () => {
    let seen: string[] = []
    const look: Middleware = (next) => (ctx) => {
      seen = [...ctx.out.headers]
      ctx.out.headers.push('X-Trusted', 'set by a layer')
      return next(ctx)
    }
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [look] }))
    await front.client.ask({ headers: ['Connection', 'X-Trusted', 'X-Trusted', 'forged'] })
    expect(value(seen, 'x-trusted')).toBeUndefined()
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'x-trusted')).toEqual(['set by a layer'])
  })

  it.each(['Host', 'Content-Length', 'X-Forwarded-For, Via, X-Forwarded-Proto'])(
    'cannot take away %s',
    async (named) => {
      const origin = own(await originServer())
      const front = own(await kind.start(origin.url))
      const answer = await front.client.ask({ method: 'POST', headers: ['Connection', named], body: 'bytes' })
      expect(answer.status).toBe(200)
      const got = origin.requests[0]
      expect((await got?.body())?.toString()).toBe('bytes')
      const names = namesOf(got?.rawHeaders ?? [])
      for (const name of ['host', 'via', 'x-forwarded-for', 'x-forwarded-proto', 'content-length']) {
        expect(names.filter((each) => each === name)).toEqual([name])
      }
    },
  )

  it('named by a target are removed from its answer', async () => {
    const fields = 'Connection: X-One, close\r\nX-One: 1\r\nX-Stays: here\r\n'
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`)
        connection.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask()
    expect(value(answer.headers, 'x-one')).toBeUndefined()
    expect(value(answer.headers, 'x-stays')).toBe('here')
    // The target's close is between it and us.
    expect(values(answer.headers, 'connection')).not.toContain('close')
    expect(await front.client.ask()).toMatchObject({ status: 200 })
  })
})
