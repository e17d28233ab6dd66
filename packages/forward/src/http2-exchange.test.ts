import { PassThrough, Readable } from 'node:stream'
import type { BodyInit, Outcome, Reply } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { ask, send, targetOf, textOf, WrittenBody } from '../../../test/kit/attempt.js'
import { heapInUse } from '../../../test/kit/heap.js'
import { http2Origin } from '../../../test/kit/http2-origin.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { Deadlines } from './deadlines.js'
import { Http2Exchange } from './http2-exchange.js'
import { http2Transport, type Transport } from './index.js'

trapUnhandled()
const own = owner()

function transportOf(): Transport {
  const transport = http2Transport()
  own({ close: () => transport.close(true) })
  return transport
}

describe('the body of a request', () => {
  it.each<[string, string | Uint8Array]>([
    ['a text', 'tüxt'],
    ['bytes', Buffer.from('tüxt')],
  ])('in memory goes out with its length: %s', async (_kind, body) => {
    const origin = own(
      await http2Origin(async (stream, seen) => {
        stream.respond({ ':status': 200 })
        stream.end(`${seen.fields['content-length']} ${await seen.body()}`)
      }),
    )
    expect(await ask(transportOf(), targetOf(origin.url), { method: 'POST', body })).toBe('5 tüxt')
  })

  it('brings its trailers, or those that are read after its end', async () => {
    const origin = own(await http2Origin())
    const transport = transportOf()
    const target = targetOf(origin.url)
    for (const [at, late] of [undefined, ['X-Late', '2']].entries()) {
      const body = new WrittenBody()
      const out = { method: 'POST', body, ...(late === undefined ? {} : { trailers: () => late }) }
      const reply = ask(transport, target, out)
      body.write('part')
      body.done(late === undefined ? ['X-Sum', '1', 'x-sum', '2', 'Host', 'x'] : undefined)
      expect(await reply).toBe('ok')
      const { rawTrailers } = await origin.stream(at)
      expect(rawTrailers).toEqual(late === undefined ? ['x-sum', '1', 'x-sum', '2'] : ['x-late', '2'])
    }
  })

  it.each([
    ['shorter', 'abc'],
    ['longer', 'abcdefg'],
  ])('that is %s than announced fails, and the target can tell', async (_what, text) => {
    const origin = own(await http2Origin((stream) => void stream.resume()))
    const body = new WrittenBody()
    Object.assign(body, { length: 5 })
    const reply = send(transportOf(), targetOf(origin.url), {
      method: 'POST',
      body,
      headers: ['Content-Length', '5'],
    })
    const { closed } = await origin.stream()
    body.write(text)
    body.done()
    await expect(reply).rejects.toMatchObject({ code: 'http_request_error' })
    expect(await within(closed, 'the reset')).not.toBe(0)
  })

  it.each<[string, BodyInit]>([
    ['none', null],
    ['a text', 'abc'],
    ['without a length', Readable.from(['abcdefgh'])],
  ])('that is %s is not sent with another length', async (_kind, body) => {
    const origin = own(await http2Origin())
    const out = { method: 'POST', body, headers: ['Content-Length', '5'] }
    const reply = send(transportOf(), targetOf(origin.url), out)
    await expect(reply).rejects.toMatchObject({ code: 'http_request_error' })
    expect(origin.streams).toEqual([])
  })

  it('that is no body fails by itself', async () => {
    const origin = own(await http2Origin())
    const reply = send(transportOf(), targetOf(origin.url), { method: 'POST', body: {} as BodyInit })
    await expect(reply).rejects.toMatchObject({ code: 'proxy_internal_error' })
  })

  it('that fails takes the request with it', async () => {
    const origin = own(await http2Origin((stream) => void stream.resume()))
    const body = new WrittenBody()
    const reply = send(transportOf(), targetOf(origin.url), { method: 'POST', body })
    const seen = await origin.stream()
    body.write('part')
    body.break(new Error('broken'))
    await expect(reply).rejects.toMatchObject({ code: 'proxy_internal_error' })
    expect(await within(seen.closed, 'the reset')).toBe(8)
    expect(seen.stream.aborted).toBe(true)
  })

  it('is stopped when the target has answered without it', async () => {
    const origin = own(
      await http2Origin((stream) => {
        stream.respond({ ':status': 413 })
        stream.end('enough')
      }),
    )
    const body = new WrittenBody()
    const reply = await send(transportOf(), targetOf(origin.url), { method: 'POST', body })
    body.write('part')
    expect([reply.status, await textOf(reply.body)]).toEqual([413, 'enough'])
    expect(body.stopped).toMatchObject({ code: 'client_left' })
    await within((await origin.stream()).closed, 'the end of the stream')
  })
})

describe('a stream that is reset without an error while its request waits for room', () => {
  it.each([
    ['before an answer', false],
    ['in mid-body', true],
  ])('%s does not stay', async (_when, answered) => {
    const origin = own(
      await http2Origin((stream) => {
        if (answered) stream.respond({ ':status': 200, 'content-length': '10' }, { waitForTrailers: true })
        if (answered) stream.write('part', () => setImmediate(() => stream.destroy()))
        else stream.close(0)
      }),
    )
    const transport = transportOf()
    const target = targetOf(origin.url)
    const body = new WrittenBody()
    const got = ask(transport, target, { method: 'POST', body }, { head: 0, body: 0, requestBody: 0 })
    body.write('x'.repeat(1024 * 1024))
    const code = answered ? 'http_response_incomplete' : 'connection_terminated'
    await expect(within(got, 'the end')).rejects.toMatchObject({ code })
    await transport.close()
    const { pools } = transport as unknown as { pools: Map<unknown, unknown> }
    await until(() => pools.size === 0, 'the connection to close')
  })
})

describe('Expect: 100-continue', () => {
  const expecting = (body: WrittenBody): object => ({
    method: 'POST',
    body,
    headers: ['Expect', '100-continue'],
  })

  it('withholds the body until the target says 100', async () => {
    const go = deferred()
    const origin = own(
      await http2Origin(async (stream, seen) => {
        await go.promise
        stream.additionalHeaders({ ':status': 100 })
        const body = await seen.body()
        stream.respond({ ':status': 200 })
        stream.end(body)
      }),
    )
    origin.server.on('checkContinue', () => {})
    const body = new WrittenBody()
    body.write('whole')
    body.done()
    const reply = ask(transportOf(), targetOf(origin.url), expecting(body))
    const { fields } = await origin.stream()
    expect([fields.expect, body.taken]).toEqual(['100-continue', false])
    go.resolve()
    expect(await reply).toBe('whole')
  })

  it('leaves the body alone when the target refuses', async () => {
    const origin = own(
      await http2Origin((stream) => {
        stream.respond({ ':status': 417 })
        stream.end()
      }),
    )
    origin.server.on('checkContinue', () => {})
    const body = new WrittenBody()
    body.write('whole')
    const { status } = await send(transportOf(), targetOf(origin.url), expecting(body))
    expect(status).toBe(417)
    const { closed } = await origin.stream()
    await within(closed, 'the end of the stream')
  })
})

describe('the reply', () => {
  it('has its trailers after its body, without those that have no business there', async () => {
    const origin = own(
      await http2Origin((stream) => {
        stream.respond({ ':status': 200, 'content-length': '4' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': ['1', '2'], 'set-cookie': ['a=1'] }))
        stream.end('body')
      }),
    )
    const reply = await send(transportOf(), targetOf(origin.url))
    expect((reply.body as { length?: number }).length).toBe(4)
    expect(await textOf(reply.body)).toBe('body')
    expect(reply.trailers?.()).toEqual(['x-sum', '1', 'x-sum', '2'])
  })

  it('has no fields of a connection and no pseudo fields', async () => {
    const origin = own(
      await http2Origin((stream) => {
        stream.respond(
          { ':status': 200, 'alt-svc': 'h2=":1"', 'x-a': 'ä', 'set-cookie': ['a=1', 'b=2'] },
          { endStream: true },
        )
      }),
    )
    const { headers, body } = await send(transportOf(), targetOf(origin.url))
    expect(headers.slice(0, 6)).toEqual(['x-a', 'ä', 'set-cookie', 'a=1', 'set-cookie', 'b=2'])
    expect([headers.slice(6).filter((_, i) => i % 2 === 0), body]).toEqual([['date'], null])
  })

  it.each<[string, number, Record<string, string>]>([
    ['a body where there can be none', 204, { 'content-length': '4' }],
    ['two lengths', 200, { 'content-length': '4, 5' }],
    ['a status that is none', 600, {}],
  ])('with %s is none', async (_what, status, fields) => {
    const origin = own(
      await http2Origin((stream) => {
        stream.respond({ ':status': status, ...fields })
        stream.end('body')
      }),
    )
    const sent = send(transportOf(), targetOf(origin.url)).then(
      (reply) => textOf(reply.body),
      (error: { code: string }) => error.code,
    )
    expect(['', 'http_protocol_error', 'connection_terminated']).toContain(await sent)
  })

  it('ends with the attempt, by the signal or by onClose', async () => {
    const origin = own(
      await http2Origin((stream) => {
        stream.respond({ ':status': 200 })
        stream.write('part')
      }),
    )
    const transport = transportOf()
    const target = targetOf(origin.url)
    const controller = new AbortController()
    const first = await send(transport, target, {}, {}, { signal: controller.signal })
    const cut = textOf(first.body)
    await origin.stream(0)
    controller.abort()
    await expect(cut).rejects.toThrow()
    expect(await within((await origin.stream(0)).closed, 'the reset')).toBe(8)

    let close: ((end: Outcome) => void) | undefined
    const onClose = <T>(fn: (end: Outcome, arg: T) => void, arg: T): void => {
      close = (end) => fn(end, arg)
    }
    const second = await send(transport, target, {}, {}, { onClose })
    const ended = textOf(second.body)
    close?.({ kind: 'client-left', bytes: 0 })
    await expect(ended).rejects.toMatchObject({ code: 'client_left' })
    expect(await within((await origin.stream(1)).closed, 'the reset')).toBe(8)
  })

  it('that nobody wants is cancelled', async () => {
    const origin = own(
      await http2Origin((stream) => {
        stream.respond({ ':status': 200 })
        stream.write('part')
      }),
    )
    const { body } = await send(transportOf(), targetOf(origin.url))
    ;(body as { cancel(): void }).cancel()
    expect(await within((await origin.stream()).closed, 'the reset')).toBe(8)
  })

  it('is not waited for by a client that left before there was a connection', async () => {
    const origin = own(await http2Origin())
    const transport = transportOf()
    const signal = AbortSignal.abort(new Error('gone'))
    await expect(send(transport, targetOf(origin.url), {}, {}, { signal })).rejects.toMatchObject({
      code: 'client_left',
    })
    expect(await ask(transport, targetOf(origin.url))).toBe('ok')
    await until(() => origin.streams.length === 1, 'the one stream')
  })
})

it('informational responses that are larger than a head are refused: the client may not read them', async () => {
  const origin = own(
    await http2Origin((stream) => {
      for (let i = 0; i < 10; i++) stream.additionalHeaders({ ':status': 103, link: 'x'.repeat(10_000) })
      stream.respond({ ':status': 200 })
      stream.end('ok')
    }),
  )
  let heard = 0
  const reply = send(transportOf(), targetOf(origin.url), {}, {}, { inform: () => void heard++ })
  await expect(reply).rejects.toMatchObject({ code: 'http_response_header_section_size' })
  expect(heard).toBe(6)
})

describe('what it accepts', () => {
  const out = (
    method: string,
    path: string,
    headers: string[] = [],
  ): Parameters<Transport['accepts']>[0] => ({
    method,
    path,
    headers,
    body: null,
  })

  it('are requests with a path, OPTIONS *, and no CONNECT', () => {
    const target = targetOf('http://127.0.0.1:1')
    const { accepts } = bound(transportOf())
    expect(accepts(out('GET', '/'), target)).toBe(true)
    expect(accepts(out('OPTIONS', '*'), target)).toBe(true)
    expect(accepts(out('GET', '*'), target)).toBe(false)
    expect(accepts(out('CONNECT', 'a:1'), target)).toBe(false)
    expect(accepts(out('GET', 'http://a/'), target)).toBe(false)
  })

  it('are upgrades until the target turns out not to take them', async () => {
    const origin = own(await http2Origin())
    const target = targetOf(origin.url)
    const transport = transportOf()
    const { accepts } = bound(transport)
    const handshake = out('GET', '/', ['Sec-WebSocket-Key', 'x'])
    expect(accepts(handshake, target)).toBe(true)
    const sent: Promise<Reply> = send(transport, target, handshake, {}, { upgrade: 'websocket' })
    await expect(sent).rejects.toMatchObject({ code: 'request_unsupported' })
    expect(accepts(handshake, target)).toBe(false)
    expect(await ask(transport, target)).toBe('ok')
  })
})

function bound(transport: Transport): Pick<Transport, 'accepts'> {
  return { accepts: (...args) => transport.accepts(...args) }
}

it('that has failed is held by no deadline that it had', async () => {
  // Its time stands still: what is in a slot stays there.
  const deadlines = new Deadlines(() => 0)
  const left = (): WeakRef<object> => {
    const stream = Object.assign(new PassThrough(), { close() {} })
    const connection = { connectProtocol: false, open: () => stream, unanswered() {} }
    const attempt = {
      target: targetOf('http://127.0.0.1:1'),
      out: { method: 'GET', path: '/', headers: [], body: null },
      timeouts: { head: 60_000, total: 60_000 },
    }
    let code = ''
    const exchange = new Http2Exchange(
      attempt as never,
      { deadlines, origin: { scheme: 'http', host: 'a' }, forget() {} } as never,
      () => {},
      (error) => {
        code = error.code
      },
    )
    exchange.start(connection as never)
    exchange.close({ kind: 'client-left', bytes: 0 })
    expect(code).toBe('client_left')
    return new WeakRef(exchange)
  }
  const ref = left()
  await heapInUse()
  expect(ref.deref()).toBeUndefined()
  deadlines.close()
})
