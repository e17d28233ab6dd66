import { describe, expect, it } from 'vitest'
import { type Front, fronts, rawFronts, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

describe.each(fronts)('a client that leaves, through $name', (kind) => {
  it('before the head: the target learns, and it counts neither as 502 nor against the target', async () => {
    const seen = observer()
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const call = front.client.call()
    const request = await origin.request()
    call.abort()
    await within(request.closed, 'the connection to the target to close')
    expect(request.aborted).toBe(true)
    expect(await seen.outcome()).toMatchObject({
      kind: 'client-left',
      error: { code: 'client_left', status: 499 },
    })
    await released(front)
    expect(origin.requests).toHaveLength(1)
    expect(front.upstream.all.map(({ state }) => state)).not.toContain('ejected')
  })

  it('in the middle of its body and of the answer', async () => {
    const seen = observer()
    const origin = own(await originServer((req, res) => void req.resume().once('data', () => res.write('1'))))
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const call = front.client.call({ method: 'POST', open: true })
    call.body.write('half')
    await within(call.head, 'the head')
    call.abort()
    await within((await origin.request()).closed, 'the connection to the target to close')
    expect(await seen.outcome()).toMatchObject({ kind: 'client-left', error: { code: 'client_left' } })
    await released(front)
  })

  it('in mid-body: the target learns', async () => {
    const seen = observer()
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' })
        res.write('data: 1\n\n')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const call = front.client.call()
    const { body } = await call.head
    await new Promise((resolve) => body.once('data', resolve))
    call.abort()
    await within((await origin.request()).closed, 'the connection to the target to close')
    expect(await seen.outcome()).toMatchObject({ kind: 'client-left', bytes: 9 })
    await released(front)
  })

  it('in mid-body of a large answer that it did not read: the target learns', async () => {
    const origin = own(
      await originServer((_req, res) => {
        const more = (): void => {
          while (!res.destroyed && res.write(Buffer.alloc(65536)));
        }
        res.on('drain', more)
        more()
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call()
    await call.head
    call.abort()
    await within((await origin.request()).closed, 'the connection to the target to close')
    await released(front)
  })

  it('during its upload: the target learns, and takes the part for no whole', async () => {
    const seen = observer()
    const origin = own(await originServer((_req, _res, request) => void request.body()))
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const call = front.client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    call.body.write('part')
    const request = await origin.request()
    call.abort()
    await expect(within(request.body(), 'the end of the upload')).rejects.toThrow()
    await within(request.closed, 'the connection to the target to close')
    expect(await seen.outcome()).toMatchObject({ kind: 'client-left' })
    await released(front)
    expect(origin.requests).toHaveLength(1)
  })

  it('while its request waits for a connection: it is never sent', async () => {
    const answer = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        await answer.promise
        res.end('ok')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, connections: 1 }))
    const first = front.client.call({ path: '/first' })
    await origin.request()
    const second = front.client.call({ path: '/second' })
    second.head.catch(() => {})
    await until(() => front.inFlight === 2, 'the second request to be under way')
    second.abort()
    await until(() => front.inFlight === 1, 'the second lease to be released')
    answer.resolve()
    expect(await first.answer()).toMatchObject({ status: 200 })
    expect(await front.client.ask({ path: '/third' })).toMatchObject({ status: 200 })
    expect(origin.requests.map(({ url }) => url)).toEqual(['/first', '/third'])
  })
})

describe.each(rawFronts)('a client that resets at any byte, through $name', (kind) => {
  it('leaves nothing behind', async () => {
    const origin = own(
      await originServer(async (_req, res, request) => {
        await request.body()
        res.write('a')
        res.end('b')
      }),
    )
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask()).toMatchObject({ status: 200 })
    const leaks = leakCheck()
    const request = 'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n'
    for (let at = 0; at <= request.length; at++) {
      const client = await rawClient(front.port)
      client.write(request.slice(0, at))
      // The half of them leaves after the proxy has had its turn.
      if (at % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
      client.reset()
    }
    await released(front)
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ab' })
    await leaks.settled()
  })
})

const begin = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345'
const beginClosing = 'HTTP/1.1 200 OK\r\nConnection: close\r\n'
const beginChunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n'

describe.each(fronts)('a target that dies in mid-body, through $name', (kind) => {
  it.each([
    ['with a length, by a reset', begin, 'reset'],
    ['with a length, by an orderly end', begin, 'end'],
    ['in chunks, by a reset', beginChunked, 'reset'],
    ['in chunks, by an orderly end', beginChunked, 'end'],
    ['in the middle of a chunk', `${beginChunked}5\r\n12`, 'end'],
    ['before the last chunk line', `${beginChunked}0\r\n`, 'end'],
    [
      'with a length and Connection: close, by a reset',
      `${beginClosing}Content-Length: 10\r\n\r\n12345`,
      'reset',
    ],
    [
      'with a length and Connection: close, by an orderly end',
      `${beginClosing}Content-Length: 10\r\n\r\n12345`,
      'end',
    ],
    [
      'in chunks with Connection: close, by a reset',
      `${beginClosing}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n`,
      'reset',
    ],
    [
      'in chunks with Connection: close, by an orderly end',
      `${beginClosing}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n`,
      'end',
    ],
    [
      'in the middle of a chunk with Connection: close',
      `${beginClosing}Transfer-Encoding: chunked\r\n\r\n5\r\n12`,
      'end',
    ],
    // RFC 9112 section 8: an error of the connection is no end, where nothing else tells one.
    ['of no length, by a reset', 'HTTP/1.1 200 OK\r\n\r\n12345', 'reset'],
    ['of no length with Connection: close, by a reset', `${beginClosing}\r\n12345`, 'reset'],
  ] as const)('%s: the client can tell', async (_name, bytes, how) => {
    const seen = observer()
    const go = deferred()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(bytes)
        await go.promise
        connection[how]()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const call = front.client.call()
    await call.head
    go.resolve()
    const answer = await call.answer()
    expect(answer).toMatchObject({ status: 200, complete: false })
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'http_response_incomplete' } })
    await released(front)
    // A body that has begun is not fetched again.
    expect(origin.connections).toHaveLength(1)
  })

  it('a body of no length whose last bytes come with a reset is no whole one, and harms no other', async () => {
    let [bytes, how]: [string, 'reset' | 'end'] = ['HTTP/1.1 200 OK\r\n\r\n12345', 'reset']
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(bytes)
        connection[how]()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    for (let i = 0; i < 5; i++) {
      const { status, complete } = await front.client.ask()
      // The head and the breach may come together: then nothing has been sent yet.
      expect([status, complete]).toEqual(status === 502 ? [502, true] : [200, false])
    }
    how = 'end'
    bytes = `${beginChunked}0\r\n\r\n`
    expect(await front.client.ask()).toMatchObject({ status: 200, text: '12345', complete: true })
    bytes = 'HTTP/1.1 200 OK\r\n\r\n12345'
    expect(await front.client.ask()).toMatchObject({ status: 200, text: '12345', complete: true })
    await released(front)
  })

  it('that ends with its connection in an orderly way is whole', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\n\r\n12345')
        connection.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask()).toMatchObject({ status: 200, text: '12345', complete: true })
  })
})

const answerBytes = 'HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n'
const headEnds = answerBytes.indexOf('\r\n\r\n') + 4

describe.each(twoFronts)('a target that resets, through $name', (kind) => {
  it('at any byte of its answer: 502 before the head, a cut body after it, and nothing is left behind', async () => {
    let at = 0
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(answerBytes.slice(0, at))
        connection.reset()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    // The whole answer first: what a client keeps open is part of where it begins.
    at = answerBytes.length
    await front.client.ask()
    const leaks = leakCheck()
    for (at = 0; at < answerBytes.length; at++) {
      const answer = await front.client.ask()
      if (at < headEnds) expect([at, answer.status, answer.complete]).toEqual([at, 502, true])
      // The head and the breach may come together: then nothing has been sent yet.
      else if (answer.status !== 502) expect([at, answer.status, answer.complete]).toEqual([at, 200, false])
      expect(answer.text).not.toMatch(/127\.0\.0\.1|:\d{4,5}|at .*\.js/)
    }
    await released(front)
    await leaks.settled()
  })

  it.each([
    ['at once', 0],
    ['after the head of the request', 'head'],
    ['in the middle of the request body', 1000],
  ] as const)('%s of an upload: 502, and no second try', async (_name, when) => {
    const seen = observer()
    const origin = own(
      await rawOrigin(async (connection) => {
        if (when === 'head') await connection.head()
        else if (when > 0) await connection.until(when)
        connection.reset()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const answer = await front.client.ask({ method: 'POST', body: Buffer.alloc(200_000, 'x') })
    expect(answer).toMatchObject({ status: 502, complete: true })
    expect(seen.codes).toHaveLength(1)
    await released(front)
    if (when !== 0) expect(origin.connections).toHaveLength(1)
  })

  it('a kept connection between two requests: the next is answered all the same', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        connection.reset()
      }),
    )
    const front = own(await kind.start(origin.url))
    for (let i = 0; i < 10; i++) expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok' })
  })

  it('with FIN right behind a whole answer: the next is answered all the same', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')(connection)
        connection.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    for (let i = 0; i < 10; i++) expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok' })
  })
})
