import { ProxyError, type Reply, toBody, unhandled } from '@sluice/core'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type AskOptions, answered, CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import type { CacheOptions } from './cache-options.js'
import { createCache } from './create-cache.js'
import './middleware.js'

trapUnhandled()
const own = owner()
const rig = (options?: CacheOptions) => own(new CacheRig(createCache, options))
const many = (at: CacheRig, count: number, options?: AskOptions) =>
  Array.from({ length: count }, () => at.ask('/', options))
const status = (reply: { of(name: string): string | undefined }) => reply.of('cache-status')

/** Takes a body as it comes, at its own pace. */
function taker(reply: Reply, room = true) {
  const got: string[] = []
  const taken = { got, ends: [] as string[], drain: () => {} }
  toBody(reply.body)?.pipe({
    write: (chunk) => {
      got.push(Buffer.from(chunk).toString())
      return room
    },
    end: () => taken.ends.push('end'),
    abort: (error) => taken.ends.push(`abort: ${error.message}`),
    onDrain: (fn) => {
      taken.drain = fn
    },
  })
  return taken
}

afterEach(() => {
  vi.useRealTimers()
})

describe('one fetch for many', () => {
  it('1,000 who ask for one object make one fetch, and get its bytes as they come', async () => {
    const at = rig()
    const asked = many(at, 1000)
    const body = (await at.call()).open(200, [...fresh, 'ETag', '"a"'])
    const takers = (await Promise.all(asked)).map((reply) => taker(reply))
    body.write('one ')
    expect(takers.every(({ got }) => got.join('') === 'one ')).toBe(true)
    const late = taker(await at.ask('/'))
    expect(late.got).toEqual(['one '])
    body.write('two')
    body.done()
    expect(
      [...takers, late].every(({ ends, got }) => got.join('') === 'one two' && ends.join() === 'end'),
    ).toBe(true)
    expect(at.calls).toHaveLength(1)
    expect((await at.read('/')).text).toBe('one two')
  })

  it('who does not read holds up nobody', async () => {
    const at = rig()
    const asked = many(at, 3)
    const body = (await at.call()).open(200)
    const [slow, quick, idle] = (await Promise.all(asked)) as [Reply, Reply, Reply]
    const stalled = taker(slow, false)
    const reader = taker(quick)
    for (let i = 0; i < 100; i++) body.write('x'.repeat(10_000))
    body.done()
    expect(reader.ends).toEqual(['end'])
    expect(stalled.ends).toEqual([])
    expect((await answered(idle)).text).toHaveLength(1_000_000)
    expect((await at.read('/')).text).toHaveLength(1_000_000)
  })

  it('tells who waited', async () => {
    const at = rig()
    const [first, second] = many(at, 2)
    ;(await at.call()).answer(200, fresh, 'x')
    expect(status(await answered((await first) as Reply))).toBe(
      'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60',
    )
    const waited = await answered((await second) as Reply)
    expect(status(waited)).toBe('sluice; fwd=uri-miss; fwd-status=200; collapsed; ttl=60')
    expect(waited.of('age')).toBe('0')
  })

  it('makes one each where coalesce is off', async () => {
    const at = rig({ coalesce: false })
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    await Promise.all(many(at, 5))
    expect(at.calls).toHaveLength(5)
  })

  it.each([
    ['HEAD', { method: 'HEAD' }, 200, ''],
    ['a range', { headers: ['Range', 'bytes=1-2'] }, 206, 'el'],
    ['a condition', { headers: ['If-None-Match', '"a"'] }, 304, ''],
  ])('%s of what is being fetched waits for that', async (_, options, expected, text) => {
    const at = rig()
    const first = at.ask('/')
    const call = await at.call()
    const second = at.ask('/', options)
    call.answer(200, [...fresh, 'ETag', '"a"', 'Content-Length', '5'], 'hello')
    await first
    const reply = await answered(await second)
    expect([reply.status, reply.text]).toEqual([expected, text])
    expect(status(reply)).toMatch(/collapsed/)
    expect(at.calls).toHaveLength(1)
  })

  it('a range of a body whose end nobody knows is all of it', async () => {
    const at = rig()
    const first = at.ask('/')
    const call = await at.call()
    const others = [at.ask('/', { headers: ['Range', 'bytes=1-2'] }), at.ask('/', { method: 'HEAD' })]
    const body = call.open(200, [...fresh])
    const [ranged, head] = await Promise.all(others)
    body.write('hello')
    body.done()
    for (const reply of [await answered(await first), await answered(ranged as Reply)]) {
      expect([reply.status, reply.text, reply.of('content-length')]).toEqual([200, 'hello', undefined])
    }
    expect((await answered(head as Reply)).of('content-length')).toBeUndefined()
  })
})

describe('answers that are not for all', () => {
  it.each([
    ['private', ['Cache-Control', 'private, max-age=60']],
    ['no-store', ['Cache-Control', 'no-store']],
    ['max-age=0', ['Cache-Control', 'max-age=0', 'ETag', '"a"']],
    ['no-cache', ['Cache-Control', 'no-cache', 'ETag', '"a"']],
    ['no lifetime', []],
  ])('%s: each gets its own, and nobody waits the next time', async (_, headers) => {
    const at = rig()
    const names = Array.from({ length: 20 }, (__, i) => `client ${i}`)
    const asked = names.map((who) => at.ask('/', { who, headers: ['Cookie', who] }))
    ;(await at.call()).answer(200, headers, 'for client 0')
    await settled()
    expect(at.calls).toHaveLength(20)
    for (const { answer, arg } of at.calls) answer(200, headers, `for ${arg}`)
    const replies = await Promise.all(asked.map(async (reply) => answered(await reply)))
    expect(replies.map(({ text }) => text)).toEqual(names.map((who) => `for ${who}`))
    // All at once now.
    const again = names.map((who) => at.ask('/', { who }))
    await settled()
    expect(at.calls).toHaveLength(40)
    for (const { answer, arg } of at.calls.slice(20)) answer(200, headers, `again for ${arg}`)
    for (const [i, reply] of again.entries())
      expect((await answered(await reply)).text).toBe(`again for ${names[i]}`)
  })

  it('is one fetch for all again once an answer may be stored', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: ['Cache-Control', 'private'], body: 'x' })
    expect(status(await at.read('/'))).toBe('sluice; fwd=uri-miss; fwd-status=200; detail=private')
    expect(status(await at.read('/'))).toBe('sluice; fwd=uri-miss; fwd-status=200; detail=private')
    at.origin = () => ({ status: 200, headers: fresh, body: 'y' })
    await at.read('/')
    at.origin = undefined
    const asked = many(at, 5)
    await settled()
    expect(at.calls).toHaveLength(4)
    at.calls[3]?.answer(200)
    await Promise.all(asked)
  })

  it('a 304 to the condition of one client says nothing against that', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: ['Cache-Control', 'private'], body: 'x' })
    await at.read('/')
    at.origin = () => ({ status: 304, headers: fresh, body: null })
    const reply = await at.read('/', { headers: ['If-None-Match', '"x"'] })
    expect(reply.status).toBe(304)
    at.origin = () => ({ status: 200, headers: fresh, body: 'y' })
    await at.read('/')
    expect(status(await at.read('/'))).toMatch(/hit/)
  })

  it('who reloads waits for nobody, and for each reload there is a fetch', async () => {
    const at = rig()
    const first = at.ask('/')
    const reload = at.ask('/', { headers: ['Cache-Control', 'no-cache'] })
    const again = at.ask('/', { headers: ['Cache-Control', 'max-age=0'] })
    await settled()
    expect(at.calls).toHaveLength(3)
    at.calls.map((call, i) => call.answer(200, fresh, `${i}`))
    const texts = await Promise.all(
      [first, reload, again].map(async (reply) => (await answered(await reply)).text),
    )
    expect(texts).toEqual(['0', '1', '2'])
  })

  it('each asks for itself what must be validated each time', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: ['Cache-Control', 'no-cache', 'ETag', '"a"'], body: 'x' })
    await at.read('/')
    at.origin = undefined
    const asked = many(at, 10)
    await settled()
    expect(at.calls).toHaveLength(11)
    for (const call of at.calls.slice(1)) {
      expect(call.fetch.headers).toEqual(['If-None-Match', '"a"'])
      call.answer(304, ['Cache-Control', 'no-cache', 'ETag', '"a"'])
    }
    for (const reply of asked) expect((await answered(await reply)).text).toBe('x')
  })

  it('those whose values of what it varies on differ get theirs, each kind by one fetch', async () => {
    const at = rig()
    const kinds = ['en', 'de', 'fr']
    const asked = kinds.flatMap((kind) => many(at, 10, { headers: ['X-Kind', kind], who: kind }))
    ;(await at.call()).answer(200, [...fresh, 'Vary', 'X-Kind'], 'in en')
    await settled()
    expect(at.calls.map(({ arg }) => arg)).toEqual(kinds)
    for (const { answer, arg } of at.calls.slice(1)) answer(200, [...fresh, 'Vary', 'X-Kind'], `in ${arg}`)
    const texts = await Promise.all(asked.map(async (reply) => (await answered(await reply)).text))
    expect(texts).toEqual(kinds.flatMap((kind) => Array(10).fill(`in ${kind}`)))
    for (const kind of kinds)
      expect((await at.read('/', { headers: ['x-kind', kind] })).text).toBe(`in ${kind}`)
    expect(at.calls).toHaveLength(3)
  })
})

describe('how long others wait', () => {
  it('for lockWait, and then each asks alone', async () => {
    vi.useFakeTimers()
    const at = rig({ lockWait: 300 })
    const first = at.ask('/')
    const second = at.ask('/')
    await vi.advanceTimersByTimeAsync(299)
    expect(at.calls).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(at.calls).toHaveLength(2)
    expect(at.calls[1]?.fetch.shared).toBe(false)
    at.calls[1]?.answer(200, fresh, 'alone')
    const reply = await answered(await second)
    expect([reply.text, status(reply)]).toEqual([
      'alone',
      'sluice; fwd=uri-miss; fwd-status=200; detail=lock-wait',
    ])
    at.calls[0]?.answer(200, fresh, 'late')
    expect((await answered(await first)).text).toBe('late')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('for no fetch older than lockAge: the next one leads', async () => {
    const at = rig({ lockAge: 1000 })
    const first = at.ask('/')
    at.now += 999
    const second = at.ask('/')
    at.now += 1
    const third = at.ask('/')
    const fourth = at.ask('/')
    await settled()
    expect(at.calls).toHaveLength(2)
    at.calls[1]?.answer(200, fresh, 'new')
    at.calls[0]?.answer(200, fresh, 'old')
    const texts = await Promise.all(
      [first, second, third, fourth].map(async (r) => (await answered(await r)).text),
    )
    expect(texts).toEqual(['old', 'old', 'new', 'new'])
  })

  it('for no fetch whose age nobody knows, since the clock was set back', async () => {
    const at = rig()
    void at.ask('/')
    at.now -= 3_600_000
    void at.ask('/')
    await settled()
    expect(at.calls).toHaveLength(2)
    for (const call of at.calls) call.answer(200)
    await settled()
  })
})

describe('ends', () => {
  it('goes on when the one who asked first leaves', async () => {
    const at = rig()
    const asked = many(at, 2)
    const body = (await at.call()).open(200)
    const [first, second] = (await Promise.all(asked)) as [Reply, Reply]
    toBody(first.body)?.cancel()
    body.write('x')
    body.done()
    expect((await answered(second)).text).toBe('x')
    expect(body.stopped).toBeUndefined()
  })

  it('goes on, and is stored, when all leave', async () => {
    const at = rig()
    const asked = many(at, 100)
    const body = (await at.call()).open(200)
    for (const reply of await Promise.all(asked)) toBody(reply.body)?.cancel()
    body.write('x')
    body.done()
    expect(status(await at.read('/'))).toMatch(/hit/)
  })

  it('stops when all leave what is not stored', async () => {
    const at = rig()
    at.store.trouble.set('put', 'throws')
    const asked = many(at, 3)
    const body = (await at.call()).open(200)
    for (const reply of await Promise.all(asked)) toBody(reply.body)?.cancel()
    expect(body.stopped).toBeInstanceOf(Error)
  })

  it('a fetch that fails fails for all, with the same error', async () => {
    const at = rig()
    const asked = many(at, 10).map((reply) => reply.catch((error: unknown) => error))
    const error = new ProxyError('connection_refused')
    ;(await at.call()).fail(error)
    expect(new Set(await Promise.all(asked))).toEqual(new Set([error]))
    expect(at.calls).toHaveLength(1)
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    expect((await at.read('/')).text).toBe('x')
  })

  it('one that breaks off is broken off for all, and not stored', async () => {
    const at = rig()
    const asked = many(at, 3)
    const body = (await at.call()).open(200, [...fresh, 'Content-Length', '10'])
    const takers = (await Promise.all(asked)).map((reply) => taker(reply))
    body.write('half')
    body.break(new Error('gone'))
    expect(takers.map(({ ends, got }) => [got.join(''), ...ends])).toEqual(
      Array(3).fill(['half', 'abort: gone']),
    )
    expect(at.store.kept.size).toBe(0)
  })

  it('one that is shorter than it says is broken off, and not stored', async () => {
    const at = rig()
    const asked = at.ask('/')
    const body = (await at.call()).open(200, [...fresh, 'Content-Length', '10'])
    const taken = taker(await asked)
    body.write('half')
    body.done()
    expect(taken.ends[0]).toMatch(/abort/)
    expect(at.store.kept.size).toBe(0)
  })

  it('takes a reply without a promise, and one whose body is there', async () => {
    const at = rig()
    const fetcher = () => ({ status: 200, headers: fresh, body: Buffer.from('there') })
    const replies = await Promise.all(Array.from({ length: 10 }, () => at.ask('/', { fetcher })))
    for (const reply of replies) expect((await answered(reply)).text).toBe('there')
    expect((await at.read('/')).text).toBe('there')
  })

  it('a fetcher that throws at once is a rejection for all', async () => {
    const at = rig()
    let count = 0
    const fetcher = () => {
      count++
      throw new Error('at once')
    }
    const ends = await Promise.allSettled(Array.from({ length: 5 }, async () => at.ask('/', { fetcher })))
    expect(ends.every(({ status: end }) => end === 'rejected')).toBe(true)
    expect(count).toBeGreaterThan(0)
    await expect(at.ask('/', { method: 'POST', fetcher })).rejects.toThrow('at once')
    await expect(at.ask('/', { method: 'HEAD', fetcher })).rejects.toThrow('at once')
  })

  it('"not mine" stays what it is', async () => {
    const at = rig()
    const fetcher = () => unhandled
    const replies = await Promise.all(Array.from({ length: 3 }, () => at.ask('/', { fetcher })))
    expect(replies.every((reply) => reply === unhandled)).toBe(true)
    expect(await at.ask('/', { fetcher })).toBe(unhandled)
    expect(await at.ask('/', { method: 'POST', fetcher })).toBe(unhandled)
    expect(at.store.kept.size).toBe(0)
  })

  it('a reply with a socket passes as it is', async () => {
    const at = rig()
    const reply = { status: 101, headers: [], body: null, socket: { destroy() {} } } as unknown as Reply
    expect(await at.ask('/', { fetcher: () => reply })).toBe(reply)
    expect(await at.ask('/', { fetcher: () => reply })).toBe(reply)
    expect(at.store.kept.size).toBe(0)
  })

  it('a reply that a handler gives many times is never edited', async () => {
    const at = rig({ xCache: true })
    const reply: Reply = Object.freeze({
      status: 200,
      headers: Object.freeze(['Cache-Control', 'private']) as string[],
      body: 'x',
    })
    for (let i = 0; i < 3; i++) expect((await at.read('/', { fetcher: () => reply })).text).toBe('x')
  })
})
