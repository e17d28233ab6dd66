import { Readable } from 'node:stream'
import { type Middleware, type Reply, unhandled } from '@sluice/core'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type Front,
  type FrontKind,
  fronts,
  http1Fronts,
  observer,
  originServer,
  owner,
  trapUnhandled,
  until,
  value,
  values,
  within,
} from '../kit/index.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

/** A proxy whose layer answers by itself. */
async function answering(kind: FrontKind, reply: () => Reply, ...outer: Middleware[]): Promise<Front> {
  const origin = own(await originServer())
  const layer: Middleware = () => () => reply()
  return own(await kind.start({ targets: origin.url, use: [...outer, layer] }))
}

const parts = ['one ', 'two ', 'three']

describe.each(fronts)('replies of a layer through $name', (kind) => {
  it.each([
    ['a string', () => 'one two three', true],
    ['bytes', () => new Uint8Array(Buffer.from('one two three')), true],
    ['a stream', () => Readable.from(parts.map((part) => Buffer.from(part))), false],
    ['a stream of strings', () => Readable.from(parts), false],
  ] as const)('with %s as body arrive whole', async (_name, body, known) => {
    const front = await answering(kind, () => ({ status: 201, headers: ['X-Own', 'yes'], body: body() }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 201, text: 'one two three', complete: true })
    expect(value(answer.headers, 'x-own')).toBe('yes')
    expect(values(answer.headers, 'content-length')).toEqual(known ? ['13'] : [])
  })

  it('without a body have none', async () => {
    const front = await answering(kind, () => ({ status: 200, headers: [], body: null }))
    expect(await front.client.ask()).toMatchObject({ status: 200, text: '', complete: true })
    expect(await front.client.ask({ method: 'POST', body: 'unread'.repeat(50_000) })).toMatchObject({ status: 200 })
    expect(await front.client.ask()).toMatchObject({ status: 200 })
  })

  it.each([204, 304])('with status %d have none, whatever they hold', async (status) => {
    const stream = Readable.from(parts)
    const front = await answering(kind, () => ({ status, headers: [], body: stream }))
    expect(await front.client.ask()).toMatchObject({ status, text: '', complete: true })
    await until(() => stream.destroyed, 'the unused stream to be destroyed')
  })

  it('to HEAD have their length and no body', async () => {
    const front = await answering(kind, () => ({ status: 200, headers: [], body: 'one two three' }))
    const answer = await front.client.ask({ method: 'HEAD' })
    expect(answer).toMatchObject({ status: 200, text: '', complete: true })
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'one two three' })
  })

  it('shorter than the length they announce are cut, and never pass for whole', async () => {
    const front = await answering(kind, () => ({
      status: 200,
      headers: ['Content-Length', '100'],
      body: Readable.from(parts),
    }))
    const answer = await front.client.ask().catch(() => undefined)
    if (answer?.status === 200) expect(answer.complete).toBe(false)
    else expect([undefined, 500, 502]).toContain(answer?.status)
  })

  it('longer than the length they announce never spill into the next answer', async () => {
    let first = true
    const front = await answering(kind, () => {
      const reply: Reply = first
        ? { status: 200, headers: ['Content-Length', '4'], body: Readable.from(parts) }
        : { status: 200, headers: [], body: 'the next' }
      first = false
      return reply
    })
    const answer = await front.client.ask().catch(() => undefined)
    if (answer?.complete && answer.status === 200) expect(answer.text).toBe('one ')
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'the next', complete: true })
  })

  it('whose stream fails after the head are cut', async () => {
    const seen = observer()
    const stream = new Readable({ read() {} })
    const front = await answering(kind, () => ({ status: 200, headers: [], body: stream }), seen.layer)
    const call = front.client.call()
    stream.push('part')
    const { body } = await call.head
    await until(() => body.readableLength > 0 || body.readableFlowing, 'the first part')
    stream.destroy(new Error('disk full, says /srv/data'))
    const answer = await call.answer()
    expect(answer).toMatchObject({ status: 200, complete: false })
    expect(await seen.outcome()).toMatchObject({ kind: 'error' })
  })

  it('whose stream fails at once become an error page', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const front = await answering(kind, () => {
      const stream = new Readable({ read() {} })
      stream.destroy(new Error('disk full, says /srv/data'))
      return { status: 200, headers: ['X-Secret', 'of the page'], body: stream }
    })
    const answer = await front.client.ask().catch(() => undefined)
    if (answer?.status === 200) expect(answer.complete).toBe(false)
    else expect(answer).toMatchObject({ status: 500, complete: true })
    expect(answer?.text).not.toContain('/srv')
  })

  it('whose client leaves have their stream destroyed', async () => {
    const seen = observer()
    const stream = new Readable({ read() {} })
    stream.push('part')
    const front = await answering(kind, () => ({ status: 200, headers: [], body: stream }), seen.layer)
    const call = front.client.call()
    await call.head
    call.abort()
    await within(
      until(() => stream.destroyed, 'the stream to be destroyed'),
      'the end',
    )
    expect(await seen.outcome()).toMatchObject({ kind: 'client-left' })
  })

  it('of two fields of a name, and of one that the framework sets, arrive as they are meant', async () => {
    const front = await answering(kind, () => ({
      status: 200,
      headers: ['X-Powered-By', 'sluice', 'Set-Cookie', 'a=1', 'X-A', '1', 'Set-Cookie', 'b=2', 'x-a', '2'],
      body: null,
    }))
    const { headers } = await front.client.ask()
    expect(values(headers, 'set-cookie')).toEqual(['a=1', 'b=2'])
    expect(values(headers, 'x-a').join(', ')).toBe('1, 2')
    expect(values(headers, 'x-powered-by')).toEqual(['sluice'])
  })

  it("that say 'not mine' are 404, or the next one's in a framework", async () => {
    const front = await answering(kind, () => unhandled)
    const answer = await front.client.ask({ path: '/nowhere' })
    expect(answer).toMatchObject({ status: 404, complete: true })
    if (kind.framework) expect(answer.text).toMatch(/Cannot GET/)
  })
})

describe.each(http1Fronts)('a fault behind the head through $name', (kind) => {
  it('of a length that is no number is an error page and no broken framing', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const front = await answering(kind, () => ({
      status: 200,
      headers: ['Content-Length', 'five', 'Transfer-Encoding', 'gzip'],
      body: 'hello',
    }))
    const answer = await front.client.ask().catch(() => undefined)
    if (answer?.status === 200) expect([answer.text, answer.complete]).toEqual(['hello', true])
    else expect([undefined, 500]).toContain(answer?.status)
  })
})
