import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { fromConnect } from '@sluice/core'
import { bodyLimit } from '@sluice/guard'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { attachedFronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { deadTarget } from '../kit/dead-target.js'
import { fronts } from '../kit/fronts.js'
import { observer } from '../kit/observer.js'
import { echo, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const most = 1_000
const within = 'x'.repeat(most)
const beyond = 'x'.repeat(most + 1)

describe.each(fronts)('bodyLimit through $name', (kind) => {
  it('bodies up to the limit pass, with a length and without', async () => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit('1kb'), bodyLimit(most)] }))
    for (const chunked of [false, true]) {
      const answer = await front.client.ask({ method: 'POST', body: within, chunked })
      expect(answer).toMatchObject({ status: 200, text: within, complete: true })
    }
    expect(await front.client.ask()).toMatchObject({ status: 200, text: '' })
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('one byte more is 413: by its length before a target is asked, else before a target has all of it', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await originServer())
    const watch = observer()
    const front = own(await kind.start({ targets: origin.url, use: [watch.layer, bodyLimit(most)] }))
    expect(await front.client.ask({ method: 'POST', body: beyond })).toMatchObject({
      status: 413,
      text: '413 Payload Too Large\n',
    })
    expect(origin.requests).toHaveLength(0)
    expect(await front.client.ask({ method: 'POST', body: beyond, chunked: true })).toMatchObject({
      status: 413,
    })
    for (const request of origin.requests) await expect(request.body()).rejects.toThrow()
    // Of an error that is a client's no target suffers.
    expect(front.upstream.all[0]?.state).not.toBe('ejected')
    expect(watch.codes).toEqual(['http_request_body_size', 'http_request_body_size'])
    expect(await front.client.ask({ method: 'POST', body: within })).toMatchObject({ status: 200 })
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('where the answer has begun, a body that turns out too large cuts both connections', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(
      await originServer((_req, res) => {
        res.write('begun')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(most)] }))
    const call = front.client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    call.body.write('x')
    expect((await call.head).status).toBe(200)
    const over = call.answer()
    call.body.write(beyond)
    expect((await over).complete).toBe(false)
    await until(() => origin.requests[0]?.aborted, 'the target to be let go')
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('a Connect middleware inside that reads a counted body, and keeps it, hands it on', async () => {
    const origin = own(await originServer(echo))
    const keeping = fromConnect((req: IncomingMessage, _res: unknown, next: () => void) => {
      const parts: Buffer[] = []
      req.on('data', (part: Buffer) => parts.push(part))
      req.on('end', () => {
        Object.assign(req, { rawBody: Buffer.concat(parts) })
        next()
      })
    })
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(most), keeping] }))
    const answer = await front.client.ask({ method: 'POST', body: 'kept', chunked: true })
    expect(answer).toMatchObject({ status: 200, text: 'kept' })
  })

  it('0 is no limit', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(0)] }))
    expect(
      await front.client.ask({ method: 'POST', body: 'x'.repeat(100_000), chunked: true }),
    ).toMatchObject({
      status: 200,
    })
  })
})

describe.each(attachedFronts)('bodyLimit and 100 Continue, through $name', (kind) => {
  it('a client that asks first is refused before it has sent a byte', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(most)] }))
    const call = front.client.call({
      method: 'POST',
      open: true,
      headers: ['Expect', '100-continue', 'Content-Length', String(most + 1)],
    })
    let heard = 0
    call.body.on('continue', () => heard++)
    call.body.on('error', () => {})
    expect(await call.answer()).toMatchObject({ status: 413, complete: true })
    expect(heard).toBe(0)
    expect(origin.requests).toHaveLength(0)
    call.abort()
  })

  it('whether one that does not say how much it has is to go on is for the target to say', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 417 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(most)] }))
    const coding = kind.http2 ? [] : ['Transfer-Encoding', 'chunked']
    const headers = ['Expect', '100-continue', ...coding]
    const call = front.client.call({ method: 'POST', open: true, headers })
    let heard = 0
    call.body.on('continue', () => heard++)
    call.body.on('error', () => {})
    expect(await call.answer()).toMatchObject({ status: 417, text: 'no' })
    expect(heard).toBe(0)
    call.abort()
  })

  it('one that does not say how much it has goes on when its target has said so, and is counted', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(most)] }))
    const call = front.client.call({
      method: 'POST',
      open: true,
      headers: ['Expect', '100-continue', ...(kind.http2 ? [] : ['Transfer-Encoding', 'chunked'])],
    })
    call.body.on('error', () => {})
    await once(call.body, 'continue')
    call.body.end(beyond)
    expect(await call.answer()).toMatchObject({ status: 413 })
    for (const request of origin.requests) await expect(request.body()).rejects.toThrow()
  })
})

describe.each(attachedRawFronts)('bodyLimit, through $name', (kind) => {
  it('leaves alone what flows after an upgrade', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
        )
        await connection.until(beyond)
        await connection.write('got it')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(most)] }))
    const client = own(await rawClient(front.port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await client.until('\r\n\r\n')
    client.write(beyond)
    await client.until('got it')
  })

  it('does not wait for the body that it has refused, and ends the connection in good order', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [bodyLimit(most)] }))
    const bytes = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n'
    const { responses, ended } = await rawRequest(front.port, bytes)
    expect(responses.map(({ status }) => status)).toEqual([413])
    expect(value(responses[0]?.headers ?? [], 'connection')).toBe('close')
    expect(ended).toBe('end')
  })

  it('a body that nobody takes is no affair of its', async () => {
    const front = own(
      await kind.start({ targets: (await deadTarget()).url, use: [bodyLimit(most)], retry: false }),
    )
    expect(await front.client.ask({ method: 'POST', body: within, chunked: true })).toMatchObject({
      status: 502,
    })
  })
})
