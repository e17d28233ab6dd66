import { describe, expect, it } from 'vitest'
import { type Front, http2Fronts, rawFronts, threeFronts, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { observer } from '../kit/observer.js'
import { answerOk, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

// What other forwarders' suites demand of bodies; `docs/behaviours.md` has the whole list.

trapUnhandled()
const own = owner()

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

const none = undefined
const length0 = 'Content-Length: 0\r\n'
const length10 = 'Content-Length: 10\r\n'
const chunked = 'Transfer-Encoding: chunked\r\n'
const ten = '0123456789'
const tenInChunks = '4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n'

/** How a request comes, and the body that the target sees; none is neither a byte, nor chunks, nor a length above 0. */
const rows: [method: string, version: string, fields: string, sent: string, seen: string | undefined][] = [
  ['TRACE', '1.1', '', '', none],
  ['GET', '1.1', '', '', none],
  ['HEAD', '1.1', '', '', none],
  ['DELETE', '1.1', '', '', none],
  ['OPTIONS', '1.1', '', '', none],
  ['POST', '1.1', '', '', none],
  ['PUT', '1.1', '', '', none],
  ['PATCH', '1.1', '', '', none],
  ['REPORT', '1.1', '', '', none],
  ['GET', '1.0', '', '', none],
  ['POST', '1.0', '', '', none],
  ['GET', '1.1', length0, '', none],
  ['HEAD', '1.1', length0, '', none],
  ['DELETE', '1.1', length0, '', none],
  ['POST', '1.1', length0, '', none],
  ['PUT', '1.1', length0, '', none],
  ['REPORT', '1.1', length0, '', none],
  ['POST', '1.0', length0, '', none],
  ['GET', '1.1', length10, ten, ten],
  ['DELETE', '1.1', length10, ten, ten],
  ['POST', '1.1', length10, ten, ten],
  ['REPORT', '1.1', length10, ten, ten],
  ['POST', '1.0', length10, ten, ten],
  ['GET', '1.1', chunked, tenInChunks, ten],
  ['POST', '1.1', chunked, tenInChunks, ten],
  ['REPORT', '1.1', chunked, tenInChunks, ten],
]

const framingOf = (list: readonly string[]): (string | undefined)[] => [
  value(list, 'content-length'),
  value(list, 'transfer-encoding'),
]

describe.each(rawFronts)('whether a request has a body, through $name', (kind) => {
  it.each(rows)('%s HTTP/%s %j with %j: %j', async (method, version, fields, sent, seen) => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const head = `${method} /one HTTP/${version}\r\nHost: a\r\n${fields}\r\n`
    // The end of the connection shows that no byte of the body was left for another request.
    const next = version === '1.1' ? 'GET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' : ''
    const { responses } = await rawRequest(front.port, head + sent + next, { methods: [method, 'GET'] })
    expect(responses.map(({ status }) => status)).toEqual(next === '' ? [200] : [200, 200])
    expect(origin.requests.map(({ url }) => url)).toEqual(next === '' ? ['/one'] : ['/one', '/two'])
    const request = await origin.request()
    expect(String(await request.body())).toBe(seen ?? '')
    const [length, coding] = framingOf(request.rawHeaders)
    if (seen === none) expect([length ?? '0', coding]).toEqual(['0', undefined])
    else expect([length, coding]).toEqual(fields === length10 ? ['10', undefined] : [undefined, 'chunked'])
  })
})

describe.each(http2Fronts)('whether a request has a body, through $name', (kind) => {
  it.each(['GET', 'HEAD', 'DELETE', 'POST'])('%s that ends with its head has none', async (method) => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask({ method })).toMatchObject({ status: 200, complete: true })
    const request = await origin.request()
    const [length, coding] = framingOf(request.rawHeaders)
    expect([length ?? '0', coding]).toEqual(['0', undefined])
  })

  it.each(['POST', 'GET', 'REPORT'])('%s without a length has one', async (method) => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const answer = await front.client.ask({ method, body: ten, chunked: true })
    expect(answer).toMatchObject({ status: 200, complete: true })
    const request = await origin.request()
    expect(String(await request.body())).toBe(ten)
    expect(framingOf(request.rawHeaders)).toEqual([undefined, 'chunked'])
  })

  it.each([
    ['short', '5'.repeat(5)],
    ['long', '5'.repeat(15)],
  ])('a body that is too %s for its length is never a whole one', async (_name, body) => {
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ method: 'POST', headers: ['Content-Length', '10'], open: true })
    call.body.on('error', () => {})
    call.body.end(body)
    const status = await within(
      call.head.then(
        (head) => head.status,
        () => 'reset',
      ),
      'the end of the stream',
    )
    expect(['reset', 400]).toContain(status)
    await released(front)
    for (const request of origin.requests) await expect(request.body()).rejects.toThrow()
  })
})

describe.each(rawFronts)('a length that is wrong, through $name', (kind) => {
  it('a body that is too short is never a whole one', async () => {
    const origin = own(await originServer(answerOk))
    const front = own(await kind.start(origin.url))
    const client = await rawClient(front.port)
    client.write(`POST / HTTP/1.1\r\nHost: a\r\n${length10}\r\n01234`)
    const request = await origin.request()
    client.socket.end()
    await expect(request.body()).rejects.toThrow()
    await within(client.closed, 'the connection to end')
    expect(client.text).not.toContain('200 OK')
    await released(front)
  })

  it('what is too much is no part of the body: it is read as a request, which it is not', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(origin.url))
    const { responses, ended } = await rawRequest(
      front.port,
      `POST / HTTP/1.1\r\nHost: a\r\n${length10}\r\n${ten}abcde\r\n\r\n`,
    )
    for (const request of origin.requests) expect(String(await request.body())).toBe(ten)
    expect(responses.at(-1)?.status).toBe(400)
    expect(ended).not.toBe('open')
    expect(origin.requests.length).toBeLessThanOrEqual(1)
  })
})

describe.each(threeFronts)('bodies that fail, through $name', (kind) => {
  it('uploads of 6 MiB at once against answers that are cut off: each client can tell, and nothing is left', async () => {
    const leaks = leakCheck()
    const bytes = Buffer.alloc(6 * 1024 * 1024, 'x')
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart')
        connection.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const call = front.client.call({ method: 'POST', body: bytes })
        call.body.on('error', () => {})
        return call.answer().catch(() => ({ complete: false, status: 0 }))
      }),
    )
    for (const answer of answers) expect(answer.status === 502 || !answer.complete).toBe(true)
    await released(front)
    await front.close()
    await origin.close()
    await leaks.settled()
  })
})

describe.each(rawFronts)('a client whose body fails before there is an answer, through $name', (kind) => {
  it.each([
    ['a chunk without a size', 'nonsense\r\n'],
    ['a chunk that is longer than it says', '2\r\nabcd\r\n0\r\n\r\n'],
  ])('%s: 400, it is the fault of the client, and the target gets no whole body', async (_name, rest) => {
    const seen = observer()
    const origin = own(await originServer(answerOk))
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const client = await rawClient(front.port)
    client.write(`POST / HTTP/1.1\r\nHost: a\r\n${chunked}\r\n2\r\nok\r\n`)
    const request = await origin.request()
    client.write(rest)
    await within(client.closed, 'the connection to end')
    await expect(request.body()).rejects.toThrow()
    expect(client.text).toMatch(/^(HTTP\/1\.1 400 |$)/)
    expect(await seen.outcome()).toMatchObject({ error: { source: 'client' } })
    await released(front)
    expect(front.upstream.all[0]?.state).not.toBe('ejected')
  })
})

describe.each(twoFronts)('an upload that goes on, through $name', (kind) => {
  it('does not run out of time, however long it takes in all', async () => {
    const seen = observer()
    const got = deferred()
    const origin = own(await originServer(answerOk))
    const timeouts = { requestBody: '2s', head: '1s' } as const
    const front = own(await kind.start({ targets: origin.url, timeouts, use: [seen.layer] }))
    const call = front.client.call({ method: 'POST', open: true })
    // Each part comes well within the limits; all of them take longer than either.
    let parts = 0
    const timer = setInterval(() => {
      call.body.write('x')
      if (++parts === 25) got.resolve()
    }, 100)
    await got.promise.finally(() => clearInterval(timer))
    call.body.end()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'ok', complete: true })
    expect((await (await origin.request()).body()).length).toBe(parts)
    expect(seen.codes).toEqual([])
  })
})
