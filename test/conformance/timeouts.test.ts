import { describe, expect, it } from 'vitest'
import { type Front, fronts, listening, threeFronts, twoFronts } from '../kit/fronts.js'
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

/** Short enough not to wait for, long enough to come after everything else. */
const short = '100ms'

describe.each(fronts)('timeouts through $name', (kind) => {
  it('body: a target that falls silent is cut off, and the client can tell', async () => {
    const seen = observer()
    const origin = own(await originServer((_req, res) => void res.write('part')))
    const front = own(await kind.start({ targets: origin.url, timeouts: { body: short }, use: [seen.layer] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 200, complete: false })
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'connection_read_timeout' } })
    await within((await origin.request()).closed, 'the connection to the target to close')
    await released(front)
  })

  it('stream: has a limit of its own if one is set', async () => {
    const seen = observer()
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('Content-Type', 'text/event-stream; charset=utf-8')
        res.write('data: 1\n\n')
      }),
    )
    const front = own(
      await kind.start({ targets: origin.url, timeouts: { stream: short }, use: [seen.layer] }),
    )
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: false })
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'connection_read_timeout' } })
    await released(front)
  })

  it('requestBody: a client that stops sending gets 408', async () => {
    const seen = observer()
    const origin = own(await originServer((_req, _res, request) => void request.body()))
    const front = own(
      await kind.start({ targets: origin.url, timeouts: { requestBody: short }, use: [seen.layer] }),
    )
    const call = front.client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    call.body.write('part')
    const { status } = await within(call.head, 'the answer')
    expect(status).toBe(408)
    expect(seen.codes).toEqual(['request_timeout'])
    await within((await origin.request()).closed, 'the connection to the target to close')
    await released(front)
    // The client's fault is not the target's.
    expect(front.upstream.all[0]?.state).not.toBe('ejected')
  })

  it('total: before the head gives 504', async () => {
    const seen = observer()
    const origin = own(await originServer(() => {}))
    const front = own(
      await kind.start({ targets: origin.url, timeouts: { total: short }, use: [seen.layer] }),
    )
    expect(await front.client.ask()).toMatchObject({ status: 504 })
    expect(seen.codes).toEqual(['total_timeout'])
    // The time is used up: there is no second try, though it was a GET.
    expect(origin.requests).toHaveLength(1)
    await within((await origin.request()).closed, 'the connection to the target to close')
    await released(front)
  })
})

describe.each(threeFronts)('timeouts that take longer, through $name', (kind) => {
  it('total: in mid-body cuts off, however lively the target is', async () => {
    const seen = observer()
    const origin = own(
      await originServer((_req, res) => {
        const timer = setInterval(() => res.write('x'), 5)
        res.on('close', () => clearInterval(timer))
      }),
    )
    const front = own(
      await kind.start({ targets: origin.url, timeouts: { total: '500ms' }, use: [seen.layer] }),
    )
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: false })
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'total_timeout' } })
    await within((await origin.request()).closed, 'the connection to the target to close')
    await released(front)
  })

  it('head: a target that does not answer gives 504', async () => {
    const seen = observer()
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start({ targets: origin.url, timeouts: { head: short }, use: [seen.layer] }))
    const answer = await front.client.ask({ method: 'POST', body: 'x' })
    expect(answer).toMatchObject({ status: 504, complete: true })
    expect(seen.codes).toEqual(['http_response_timeout'])
    await within((await origin.request()).closed, 'the connection to the target to close')
    await released(front)
    // A POST that the target may have processed is not sent twice.
    expect(origin.requests).toHaveLength(1)
  })

  it('stream: an event stream may rest', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.setHeader('Content-Type', 'text/event-stream')
        res.write('data: 1\n\n')
        await go.promise
        res.end('data: 2\n\n')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, timeouts: { body: '50ms' } }))
    const call = front.client.call()
    await call.head
    await new Promise((resolve) => setTimeout(resolve, 300))
    go.resolve()
    expect(await call.answer()).toMatchObject({ text: 'data: 1\n\ndata: 2\n\n', complete: true })
  })

  it('requestBody: a target that stops reading gives 504', async () => {
    const seen = observer()
    const origin = own(await originServer(() => {}))
    const front = own(
      await kind.start({ targets: origin.url, timeouts: { requestBody: short, head: 0 }, use: [seen.layer] }),
    )
    const call = front.client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    const piece = Buffer.alloc(256 * 1024)
    let leaving = false
    call.head.finally(() => (leaving = true)).catch(() => {})
    while (!leaving && !call.body.destroyed) {
      if (!call.body.write(piece)) await new Promise((resolve) => setTimeout(resolve, 1))
      if (call.body.writableLength > 32 * 1024 * 1024) break
    }
    const { status } = await within(call.head, 'the answer')
    expect(status).toBe(504)
    expect(seen.codes).toEqual(['connection_write_timeout'])
    await released(front)
  })

  it('0 turns a limit off', async () => {
    const origin = own(
      await originServer(async (_req, res) => {
        await new Promise((resolve) => setTimeout(resolve, 50))
        res.write('a')
        await new Promise((resolve) => setTimeout(resolve, 50))
        res.end('b')
      }),
    )
    const timeouts = { connect: 0, requestBody: 0, head: 0, body: 0, stream: 0, tunnel: 0, total: 0 }
    const front = own(await kind.start({ targets: origin.url, timeouts }))
    expect(await front.client.ask({ method: 'POST', body: 'x' })).toMatchObject({ status: 200, text: 'ab' })
  })
})

describe.each([listening])('timeouts that take longest, through $name', (kind) => {
  it('head: half a head counts as none', async () => {
    const seen = observer()
    const origin = own(await rawOrigin(answering('HTTP/1.1 200 OK\r\nX-Half: ')))
    const front = own(
      await kind.start({ targets: origin.url, retry: false, timeouts: { head: short }, use: [seen.layer] }),
    )
    expect(await front.client.ask()).toMatchObject({ status: 504 })
    expect(seen.codes).toEqual(['http_response_timeout'])
    await released(front)
  })

  it('body: a client that reads slowly is not the target that is silent', async () => {
    const bytes = Buffer.alloc(24 * 1024 * 1024, 'x')
    const origin = own(await originServer((_req, res) => void res.end(bytes)))
    const front = own(await kind.start({ targets: origin.url, timeouts: { body: '600ms' } }))
    const call = front.client.call()
    await call.head
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const answer = await call.answer()
    expect([answer.complete, answer.body.length]).toEqual([true, bytes.length])
  })

  it('body: each part begins the time anew', async () => {
    const origin = own(
      await originServer(async (_req, res) => {
        for (let i = 0; i < 8; i++) {
          res.write('x')
          await new Promise((resolve) => setTimeout(resolve, 160))
        }
        res.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, timeouts: { body: '1s' } }))
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'xxxxxxxx', complete: true })
  })
})

describe.each(twoFronts)('the connect timeout through $name', (kind) => {
  it('covers the TLS handshake and gives 504; the request goes to another target if there is one', async () => {
    const seen = observer()
    const silent = own(await rawOrigin())
    const deaf = `https://127.0.0.1:${silent.port}`
    const timeouts = { connect: short } as const
    const alone = own(await kind.start({ targets: deaf, timeouts, retry: false, use: [seen.layer] }))
    const answer = await alone.client.ask({ method: 'POST', body: 'x' })
    expect(answer).toMatchObject({ status: 504, complete: true })
    expect(seen.codes).toEqual(['connection_timeout'])
    expect(answer.text).not.toContain(String(silent.port))
    await released(alone)

    const origin = own(await originServer())
    const front = own(await kind.start({ targets: [deaf, origin.url], timeouts }))
    const answers = await Promise.all([1, 2].map(() => front.client.ask({ method: 'POST', body: 'x' })))
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(origin.requests).toHaveLength(2)
    await released(front)
    await until(() => silent.sockets === 0, 'the connections to the silent target to close')
  })
})

describe.each(twoFronts)('the tunnel timeout through $name', (kind) => {
  it('ends an upgraded connection that rests', async () => {
    const accepted = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
    const origin = own(await rawOrigin(answering(accepted)))
    const front = own(await kind.start({ targets: origin.url, timeouts: { tunnel: short } }))
    const client = own(await rawClient(front.port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await client.until('101')
    await within(client.closed, 'the end of the tunnel')
    await released(front)
    await until(() => origin.sockets === 0, 'the connection to the target to close')
  })
})
