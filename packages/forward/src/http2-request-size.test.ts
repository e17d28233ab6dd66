import { describe, expect, it } from 'vitest'
import { ask, send, targetOf, WrittenBody } from '../../../test/kit/attempt.js'
import { http2Origin } from '../../../test/kit/http2-origin.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { within } from '../../../test/kit/until.js'
import { http2Transport, type Transport } from './index.js'

trapUnhandled()
const own = owner()

function transportOf(): Transport {
  const transport = http2Transport()
  own({ close: () => transport.close(true) })
  return transport
}

const fields = (count: number, size: number): string[] =>
  Array.from({ length: count }, (_, i) => [`X-${i}`, 'v'.repeat(size)]).flat()
/** Nobody is blamed but the request, and no other target would take it. */
const itsOwnFault = {
  code: 'http_request_header_section_size',
  reason: 'http2-head-size',
  status: 431,
  source: 'client',
  retryable: false,
}

describe('a head that is too large', () => {
  it.each([
    ['in one field', fields(1, 66_000)],
    // Node would end the connection, and nghttp2 at the other end as well.
    ['in one field that no connection survives', fields(1, 140_000)],
    ['in many fields', fields(900, 60)],
  ])('%s is not sent, and the connection goes on', async (_how, headers) => {
    const origin = own(await http2Origin())
    const transport = transportOf()
    const target = targetOf(origin.url)
    expect(await ask(transport, target)).toBe('ok')
    await expect(send(transport, target, { headers })).rejects.toMatchObject(itsOwnFault)
    expect(await ask(transport, target)).toBe('ok')
    expect([origin.streams.length, origin.connections]).toEqual([2, 1])
  })

  it('for the target, which has said so, is not sent', async () => {
    const origin = own(await http2Origin(undefined, { settings: { maxHeaderListSize: 2_000 } }))
    const transport = transportOf()
    const target = targetOf(origin.url)
    await expect(send(transport, target, { headers: fields(1, 2_000) })).rejects.toMatchObject(itsOwnFault)
    expect(await ask(transport, target, { headers: fields(1, 1_000) })).toBe('ok')
    expect(origin.streams).toHaveLength(1)
  })

  it('for the target, which resets its stream, is told from an answer that is', async () => {
    const many = Array.from({ length: 1_200 }, (_, i) => [`x-${i}`, 'v'])
    const origin = own(
      await http2Origin((stream, { fields: { ':path': path } }) => {
        if (path !== '/answer') return stream.close(11)
        stream.respond({ ':status': 200, ...Object.fromEntries(many) })
        stream.end()
      }),
    )
    const transport = transportOf()
    const target = targetOf(origin.url)
    // More than Node's servers hand over.
    await expect(send(transport, target, { headers: fields(150, 1) })).rejects.toMatchObject(itsOwnFault)
    expect(origin.streams).toEqual([])
    await expect(send(transport, target, { headers: fields(1, 9_000) })).rejects.toMatchObject(itsOwnFault)
    for (const path of ['/', '/answer'])
      await expect(send(transport, target, { path })).rejects.toMatchObject({
        code: 'http_response_header_section_size',
      })
    expect(origin.connections).toBe(1)
  })
})

it('trailers that are too large take the request with them, and not the connection', async () => {
  const origin = own(await http2Origin())
  const transport = transportOf()
  const target = targetOf(origin.url)
  const body = new WrittenBody()
  const reply = send(transport, target, { method: 'POST', body })
  body.write('part')
  const { closed } = await origin.stream()
  body.done(fields(900, 60))
  await expect(reply).rejects.toMatchObject(itsOwnFault)
  expect(await within(closed, 'the reset')).toBe(8)
  expect(await ask(transport, target)).toBe('ok')
  expect(origin.connections).toBe(1)
})

it('trailers that are too large for the target, which resets their stream, are no fault of the target’s', async () => {
  const origin = own(await http2Origin())
  const transport = transportOf()
  const target = targetOf(origin.url)
  const body = new WrittenBody()
  const reply = send(transport, target, { method: 'POST', body })
  body.write('part')
  await origin.stream()
  // More than Node's servers hand over.
  body.done(fields(150, 1))
  await expect(reply).rejects.toMatchObject(itsOwnFault)
  expect(await ask(transport, target)).toBe('ok')
  expect(origin.connections).toBe(1)
})

it('a target that ends its connection for a large head is not blamed, nor asked again', async () => {
  const origin = own(
    await http2Origin((stream, { fields: { 'x-0': large } }) => {
      if (large === undefined) {
        stream.respond({ ':status': 200 })
        stream.end('ok')
        return
      }
      // As nginx does: the stream counts as processed.
      stream.session?.goaway(11, stream.id)
      setImmediate(() => stream.session?.destroy())
    }),
  )
  const transport = transportOf()
  const target = targetOf(origin.url)
  expect(await ask(transport, target)).toBe('ok')
  await expect(send(transport, target, { headers: fields(1, 9_000) })).rejects.toMatchObject(itsOwnFault)
  expect(origin.streams).toHaveLength(2)
  expect(await ask(transport, target)).toBe('ok')
})
