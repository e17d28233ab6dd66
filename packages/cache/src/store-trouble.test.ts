import { Readable } from 'node:stream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { answered, CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import type { Trouble } from '../../../test/kit/test-store.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import type { CacheOptions } from './cache-options.js'
import { createCache } from './create-cache.js'
import type { Entry, EntryHead } from './store.js'

trapUnhandled()
const own = owner()
const rig = (options?: CacheOptions) => own(new CacheRig(createCache, options))
const status = (reply: { of(name: string): string | undefined }) => reply.of('cache-status')
const validated = [...fresh, 'ETag', '"a"']

afterEach(() => {
  vi.useRealTimers()
})

/** All that a cache does with a store, and whether each request was answered. */
async function everything(at: CacheRig): Promise<string[]> {
  const texts: string[] = []
  const read = async (path: string, method: string, headers: string[] = []) =>
    texts.push((await at.read(path, { method, headers })).text)
  at.origin = ({ headers, method }) => {
    if (method === 'HEAD') return { status: 200, headers: validated, body: null }
    if (method !== 'GET') return { status: 200, headers: [...fresh, 'Content-Location', '/'], body: 'x' }
    if (headers.includes('If-None-Match')) return { status: 304, headers: ['ETag', '"a"'], body: null }
    if (headers.includes('Range'))
      return { status: 206, headers: [...validated, 'Content-Range', 'bytes 0-0/2'], body: 'x' }
    return { status: 200, headers: [...validated, 'Vary', 'X-Kind'], body: 'x' }
  }
  await read('/', 'GET')
  await read('/', 'GET', ['X-Kind', 'b'])
  await read('/', 'POST')
  await read('/', 'GET')
  await read('/part', 'GET', ['Range', 'bytes=0-0'])
  at.now += 61_000
  await read('/', 'GET')
  await read('/', 'HEAD')
  at.now += 61_000
  await read('/', 'HEAD')
  await read('/part', 'GET', ['Range', 'bytes=0-1'])
  await read('/', 'DELETE')
  await read('/', 'GET')
  return texts
}
const right = ['x', 'x', 'x', 'x', 'x', 'x', '', '', 'x', 'x', 'x']

describe.each(['throws', 'rejects', 'hangs'] satisfies Trouble[])('a store that %s', (trouble) => {
  it.each(['get', 'put', 'touch', 'delete', 'purge', 'write', 'commit', 'abort', 'body', 'lease', 'mark'])(
    'at %s fails no request',
    async (method) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const at = rig()
      if (method === 'lease' || method === 'mark') {
        at.store.lease = () => at.store.does('lease', () => () => {}) as never
        at.store.mark = () => (trouble === 'throws' ? at.store.does('mark', () => {}) : undefined)
      }
      // A body that breaks off is told in a test of its own.
      if (method !== 'body') at.store.trouble.set(method, trouble)
      const all = everything(at)
      let over = false
      void all.finally(() => {
        over = true
      })
      for (let i = 0; i < 200 && !over; i++) {
        await settled()
        await vi.advanceTimersByTimeAsync(1000)
      }
      expect(over).toBe(true)
      expect(await all).toEqual(right)
      at.store.trouble.clear()
      for (const go of at.store.waiting.splice(0)) go()
      await settled()
    },
  )
})

describe('a store that is slow', () => {
  it('does all the same', async () => {
    const at = rig()
    at.store.slow = true
    expect(await everything(at)).toEqual(right)
  })

  it('is a miss after storeTimeout, hears so, and what it brings later is let go of', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const at = rig({ storeTimeout: 50 })
    at.store.slow = true
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    await at.read('/')
    await settled()
    at.store.trouble.set('get', 'hangs')
    const asked = at.read('/')
    await vi.advanceTimersByTimeAsync(49)
    expect(at.calls).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect((await asked).text).toBe('x')
    expect(at.calls).toHaveLength(2)
    expect(at.store.signals.at(-1)?.aborted).toBe(true)
    for (const go of at.store.waiting) go()
    await settled()
    expect(at.store.taken).toBeGreaterThan(0)
  })

  it('waits for ever where storeTimeout is 0', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const at = rig({ storeTimeout: 0 })
    at.store.trouble.set('get', 'hangs')
    const asked = at.read('/')
    await vi.advanceTimersByTimeAsync(1_000_000)
    expect(at.calls).toHaveLength(0)
    vi.useRealTimers()
    at.store.trouble.clear()
    for (const go of at.store.waiting) go()
    ;(await at.call()).answer(200, fresh, 'x')
    expect((await asked).text).toBe('x')
  })

  it('takes no more who wait for what it never commits', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const at = rig()
    at.store.trouble.set('commit', 'hangs')
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    await at.read('/')
    expect(status(await at.read('/'))).toMatch(/collapsed/)
    await vi.advanceTimersByTimeAsync(10_000)
    await at.read('/')
    expect(at.calls).toHaveLength(2)
  })
})

describe('what is not what was stored', () => {
  const heads: [string, (head: EntryHead) => unknown][] = [
    ['no head', () => undefined],
    ['null', () => null],
    ['a text', () => 'head'],
    ['nothing', () => ({})],
    ['no id', (head) => ({ ...head, id: 5 })],
    ['another resource', (head) => ({ ...head, primary: 'http://b.example/' })],
    ['no fields', (head) => ({ ...head, headers: undefined })],
    ['fields in an object', (head) => ({ ...head, headers: { etag: 'x' } })],
    ['half a field', (head) => ({ ...head, headers: ['A'] })],
    ['a number as a value', (head) => ({ ...head, headers: ['A', 5] })],
    ['a split field', (head) => ({ ...head, headers: ['A', 'x\r\nSet-Cookie: y'] })],
    ['no status', (head) => ({ ...head, status: '200' })],
    ['a wrong status', (head) => ({ ...head, status: 101 })],
    ['no times', (head) => ({ ...head, requestTime: null, responseTime: Number.NaN })],
    ['a wrong length', (head) => ({ ...head, length: -1 })],
    ['a wrong part', (head) => ({ ...head, part: { first: 3, last: 1 } })],
    ['no part', (head) => ({ ...head, part: null })],
    ['no tags', (head) => ({ ...head, tags: 'red' })],
    ['a marker of nothing', (head) => ({ ...head, status: 0, vary: [] })],
    ['a marker of numbers', (head) => ({ ...head, status: 0, vary: [5] })],
    ['a marker with a status', (head) => ({ ...head, vary: ['x'] })],
    ['a marker that is its own variant', (head) => ({ ...head, status: 0, vary: ['x'] })],
    ['wrong variants', (head) => ({ ...head, status: 0, vary: ['x'], variants: 'x' })],
    ['purged by a number', (head) => ({ ...head, purged: 1 })],
  ]
  const entries: [string, (entry: Entry) => unknown][] = [
    ...heads.map(([name, edit]): [string, (entry: Entry) => unknown] => [
      name,
      (entry) => ({ ...entry, head: edit(entry.head) }),
    ]),
    ['no size', (entry) => ({ ...entry, size: undefined })],
    ['no number as size', (entry) => ({ ...entry, size: Number.NaN })],
    ['no body', (entry) => ({ ...entry, body: undefined })],
    ['a text as bytes', (entry) => ({ ...entry, bytes: 'x' })],
    ['a body that throws', (entry) => ({ ...entry, bytes: undefined, body: () => JSON.parse('{') as never })],
    [
      'a release that throws',
      (entry) => ({
        ...entry,
        bytes: undefined,
        size: Number.NaN,
        release: () => {
          entry.release?.()
          throw new Error('x')
        },
      }),
    ],
  ]
  it.each(entries)('%s is a miss', async (_, edit) => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: validated, body: 'old' })
    await at.read('/')
    at.store.alter = edit as (entry: Entry) => Entry
    at.origin = () => ({ status: 200, headers: validated, body: 'new' })
    expect((await at.read('/')).text).toBe('new')
    expect((await at.read('/', { method: 'HEAD' })).status).toBe(200)
    expect((await at.read('/', { headers: ['Cache-Control', 'only-if-cached'] })).status).toBe(504)
    // Once more, where what is there is held against an answer.
    at.now += 61_000
    at.origin = () => ({ status: 200, headers: validated, body: 'newer' })
    expect((await at.read('/')).text).toBe('newer')
  })

  it('a body that breaks is broken off, before a wrong byte', async () => {
    const at = rig()
    at.store.slow = true
    at.origin = () => ({ status: 200, headers: validated, body: 'abcdef' })
    await at.read('/')
    await settled()
    at.store.trouble.set('body', 'rejects')
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"b"'], body: 'of another version' })
    await expect(at.read('/')).rejects.toThrow('the disk is gone')
  })

  it('a part that was to grow and is not taken goes to its client whole', async () => {
    const at = rig()
    const part = (first: number, last: number) => ({
      status: 206,
      headers: [...validated, 'Content-Range', `bytes ${first}-${last}/10`],
      body: Readable.from([Buffer.from('0123456789'.slice(first, last + 1))]),
    })
    at.origin = () => part(0, 3)
    await at.read('/', { headers: ['Range', 'bytes=0-3'] })
    at.store.trouble.set('write', 'throws')
    at.origin = () => part(2, 6)
    expect((await at.read('/', { headers: ['Range', 'bytes=2-6'] })).text).toBe('23456')
    at.store.trouble.clear()
    const before = await at.read('/', { headers: ['Range', 'bytes=0-3'] })
    expect([before.text, status(before)]).toEqual(['0123', 'sluice; hit; ttl=60'])
  })

  it('a part that breaks is asked for anew', async () => {
    const at = rig()
    at.store.slow = true
    const part = [...validated, 'Content-Range', 'bytes 0-2/6']
    at.origin = () => ({ status: 206, headers: part, body: 'abc' })
    await at.read('/', { headers: ['Range', 'bytes=0-2'] })
    await settled()
    at.store.trouble.set('body', 'rejects')
    at.origin = ({ headers }) =>
      headers.includes('Range')
        ? { status: 206, headers: [...validated, 'Content-Range', 'bytes 3-5/6'], body: 'def' }
        : { status: 200, headers: validated, body: 'abcdef' }
    expect((await at.read('/')).text).toBe('abcdef')
    at.store.trouble.clear()
    await settled()
    expect((await at.read('/')).text).toBe('abcdef')
    expect(at.calls).toHaveLength(2)
  })
})

describe('a lease', () => {
  /** Leases as Redis gives them: one at a time, and who waits hears when the one is over. */
  function leased(at: CacheRig): void {
    const held = new Map<string, (() => void)[]>()
    at.store.lease = (key) => {
      const waiting = held.get(key)
      if (waiting !== undefined) return new Promise((resolve) => waiting.push(() => resolve(undefined)))
      held.set(key, [])
      return Promise.resolve(() => {
        const all = held.get(key) ?? []
        held.delete(key)
        for (const go of all) go()
      })
    }
  }

  it('makes one fetch of two caches over one store', async () => {
    const one = rig()
    leased(one)
    const two = own(new CacheRig(createCache, {}, one.store))
    const asked = [one, two].flatMap((at) => Array.from({ length: 5 }, () => at.ask('/')))
    await settled()
    expect([one.calls.length, two.calls.length]).toEqual([1, 0])
    one.calls[0]?.answer(200, fresh, 'x')
    for (const reply of asked) expect((await answered(await reply)).text).toBe('x')
    expect([one.calls.length, two.calls.length]).toEqual([1, 0])
  })

  it('makes one fetch behind what both serve stale', async () => {
    const one = rig()
    leased(one)
    const two = own(new CacheRig(createCache, { clock: () => one.now }, one.store))
    const swr = ['Cache-Control', 'max-age=60, stale-while-revalidate=60']
    one.origin = () => ({ status: 200, headers: swr, body: 'old' })
    await one.read('/')
    one.origin = undefined
    one.now += 61_000
    expect([(await one.read('/')).text, (await two.read('/')).text]).toEqual(['old', 'old'])
    await settled()
    one.calls[1]?.answer(200, swr, 'new')
    await settled()
    expect([one.calls.length, two.calls.length]).toEqual([2, 0])
    expect([(await one.read('/')).text, (await two.read('/')).text]).toEqual(['new', 'new'])
  })

  it('that brought nothing to store makes one each', async () => {
    const one = rig()
    leased(one)
    const two = own(new CacheRig(createCache, {}, one.store))
    const asked = [one.ask('/'), two.ask('/')]
    await settled()
    one.calls[0]?.answer(200, ['Cache-Control', 'private'], 'for one')
    await settled()
    two.calls[0]?.answer(200, ['Cache-Control', 'private'], 'for two')
    const texts = await Promise.all(asked.map(async (reply) => (await answered(await reply)).text))
    expect(texts).toEqual(['for one', 'for two'])
  })

  it('is over when a fetch fails, and its end may fail', async () => {
    const at = rig()
    let ends = 0
    at.store.lease = () =>
      Promise.resolve(() => {
        ends++
        throw new Error('x')
      })
    at.origin = () => Promise.reject(new Error('down'))
    await expect(at.read('/')).rejects.toThrow('down')
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    await at.read('/')
    expect(ends).toBe(2)
  })
})
