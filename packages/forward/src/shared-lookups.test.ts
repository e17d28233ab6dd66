import { AsyncLocalStorage } from 'node:async_hooks'
import dns from 'node:dns'
import type { LookupFunction } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ask, send, targetOf } from '../../../test/kit/attempt.js'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { http2Origin } from '../../../test/kit/http2-origin.js'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { dial, http2Transport, safeTargets, type Transport, undiciTransport, wireTransport } from './index.js'
import { SharedLookups } from './shared-lookups.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

type Callback = (error: Error | null | undefined, found?: unknown, family?: number) => void

const home = [{ address: '127.0.0.1', family: 4 }]
const loss = Object.assign(new Error('no answer'), { code: 'EAI_AGAIN' })
const ticks = () => new Promise((resolve) => setImmediate(resolve))

/** Lookups whose answers a test gives, and a clock that it moves. */
function lookups(threads = 2) {
  const time = fakeTime()
  const asked: { name: string; answer: Callback }[] = []
  const system = (name: string, _options: unknown, callback: Callback): void => {
    asked.push({ name, answer: callback })
  }
  const shared = new SharedLookups(system as never, time.now, () => threads)
  const told: [who: string, ...unknown[]][] = []
  return {
    time,
    told,
    get asked() {
      return asked.map(({ name }) => name)
    },
    shared,
    /** Somebody asks. */
    ask(who: string, name = 'a.invalid', options = {}) {
      shared.lookup(name, { all: true, ...options }, (error, found) => told.push([who, error ?? found]))
    },
    /** The lookup of that number is answered. */
    async answer(
      index: number,
      error: Error | null | undefined = null,
      found: unknown = error ? undefined : home,
    ) {
      asked[index]?.answer(error, found)
      await ticks()
    },
  }
}

describe('one that asks while the same is looked up', () => {
  it('joins in the first second', async () => {
    const rig = lookups()
    const { time, told, ask, answer } = rig
    ask('first')
    time.passAtOnce(1_000)
    ask('second')
    expect(rig.asked).toEqual(['a.invalid'])
    await answer(0)
    expect(told).toEqual([
      ['first', home],
      ['second', home],
    ])
  })

  it('fails with it, and who comes later asks anew', async () => {
    const { told, ask, answer } = lookups()
    ask('first')
    ask('second')
    await answer(0, loss)
    ask('third')
    await answer(1)
    expect(told).toEqual([
      ['first', loss],
      ['second', loss],
      ['third', home],
    ])
  })

  it('asks once more after that second where the name was found before, and what it gets is the answer to all', async () => {
    const rig = lookups()
    rig.ask('before')
    await rig.answer(0)
    rig.ask('first')
    rig.time.passAtOnce(1_001)
    rig.ask('second')
    rig.ask('third')
    expect(rig.asked).toHaveLength(3)
    await rig.answer(2)
    expect(rig.told.map(([who]) => who)).toEqual(['before', 'second', 'third', 'first'])
    await rig.answer(1, loss)
    expect(rig.told).toHaveLength(4)
  })

  it('is not failed by another that has begun beside its own', async () => {
    const rig = lookups(8)
    rig.ask('first')
    rig.time.passAtOnce(1_001)
    rig.ask('second')
    await rig.answer(0, loss)
    expect(rig.told).toEqual([['first', loss]])
    await rig.answer(1)
    expect(rig.told).toEqual([
      ['first', loss],
      ['second', home],
    ])
  })

  it.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [512, 3],
  ])(
    'leaves a thread of %i to other names: %i at once for one that nobody answers for',
    (threads, atOnce) => {
      const rig = lookups(threads)
      for (let i = 0; i < 20; i++) {
        rig.ask('somebody')
        rig.time.passAtOnce(1_001)
      }
      expect(rig.asked).toHaveLength(atOnce)
    },
  )

  it('takes the last thread once for each time that the name was found', async () => {
    const rig = lookups()
    rig.ask('before')
    await rig.answer(0)
    const hang = () => {
      for (let i = 0; i < 5; i++) {
        rig.ask('somebody')
        rig.time.passAtOnce(1_001)
      }
      return rig.asked.length
    }
    expect(hang()).toBe(3)
    await rig.answer(1, loss)
    expect(hang()).toBe(3)
    await rig.answer(2, loss)
    expect(hang()).toBe(4)
    await rig.answer(3)
    expect(hang()).toBe(6)
  })
})

describe('a shared lookup', () => {
  it('is of what was asked: name, family, hints, all, order', async () => {
    const rig = lookups()
    const different = [
      ['a.invalid', {}],
      ['b.invalid', {}],
      ['a.invalid', { family: 4 }],
      ['a.invalid', { family: 6 }],
      ['a.invalid', { hints: dns.ADDRCONFIG }],
      ['a.invalid', { all: false }],
      ['a.invalid', { verbatim: false }],
      ['a.invalid', { order: 'ipv6first' }],
    ] as const
    for (let i = 0; i < 2; i++) for (const [name, options] of different) rig.ask('', name, options)
    expect(rig.asked).toHaveLength(different.length)
    const order = dns.getDefaultResultOrder()
    dns.setDefaultResultOrder('ipv4first')
    rig.ask('')
    dns.setDefaultResultOrder(order)
    expect(rig.asked).toHaveLength(different.length + 1)
  })

  it('gives everybody a list of their own', async () => {
    const { told, ask, answer } = lookups()
    for (const who of ['first', 'second']) ask(who)
    await answer(0)
    const [[, first], [, second]] = told as [[string, typeof home], [string, typeof home]]
    for (const each of first) each.address = '127.0.0.9'
    first.pop()
    expect(second).toEqual([{ address: '127.0.0.1', family: 4 }])
  })

  it('is told to each in their own async context', async () => {
    const { shared, answer } = lookups()
    const storage = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    for (const who of ['first', 'second']) {
      storage.run(who, () => shared.lookup('a.invalid', {}, () => seen.push(storage.getStore())))
    }
    await storage.run('system', () => answer(0))
    expect(seen).toEqual(['first', 'second'])
  })

  it('is told to all, whoever throws', async () => {
    const { shared, told, ask, answer } = lookups()
    const fault = new Error('thrown by who asked')
    const uncaught: unknown[] = []
    shared.lookup('a.invalid', { all: true }, () => {
      throw fault
    })
    ask('second')
    process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error))
    await answer(0).finally(() => process.setUncaughtExceptionCaptureCallback(null))
    expect(uncaught).toEqual([fault])
    expect(told).toEqual([['second', home]])
  })

  it('is told once, however often it is answered', async () => {
    const { told, ask, answer } = lookups()
    ask('first')
    await answer(0, undefined)
    await answer(0)
    ask('second')
    await answer(0, loss)
    expect(told).toEqual([['first', home]])
    await answer(1)
    expect(told).toEqual([
      ['first', home],
      ['second', home],
    ])
  })

  it('that is never answered stands in the way for a minute', async () => {
    const rig = lookups()
    rig.ask('first')
    rig.time.passAtOnce(60_000)
    rig.ask('second')
    expect(rig.asked).toHaveLength(1)
    rig.time.passAtOnce(1)
    rig.ask('third')
    expect(rig.asked).toHaveLength(2)
    await rig.answer(1)
    expect(rig.told).toEqual([['third', home]])
    await rig.answer(0)
    expect(rig.told.map(([who]) => who)).toEqual(['third', 'first', 'second'])
  })

  it('that throws leaves nobody waiting behind it', () => {
    const shared = new SharedLookups(() => {
      throw new TypeError('no name')
    })
    for (let i = 0; i < 2; i++) expect(() => shared.lookup('a.invalid', {}, () => {})).toThrow('no name')
  })

  it('may be answered at once', async () => {
    const told: unknown[] = []
    const shared = new SharedLookups(((_name: string, _options: unknown, callback: Callback) =>
      callback(null, '127.0.0.1', 4)) as never)
    for (let i = 0; i < 2; i++) shared.lookup('a.invalid', {}, (...answer) => told.push(answer))
    expect(told).toEqual([])
    await ticks()
    expect(told).toEqual([
      [null, '127.0.0.1', 4],
      [null, '127.0.0.1', 4],
    ])
  })

  it('is remembered of a bounded number of names', async () => {
    const rig = lookups()
    for (let i = 0; i < 1_001; i++) rig.ask('', `${i}.invalid`)
    for (let i = 0; i < 1_001; i++) void rig.answer(i)
    await ticks()
    const again = (name: string) => {
      const before = rig.asked.length
      for (let i = 0; i < 3; i++) {
        rig.ask('', name)
        rig.time.passAtOnce(1_001)
      }
      return rig.asked.length - before
    }
    expect([again('0.invalid'), again('1.invalid'), again('1000.invalid')]).toEqual([1, 2, 2])
  })
})

describe('connections', () => {
  /** Name servers that answer when the test says so. */
  function slowly() {
    const asked: string[] = []
    const waiting: Callback[] = []
    vi.spyOn(dns, 'lookup').mockImplementation(((name: string, _options: unknown, callback: Callback) => {
      asked.push(name)
      waiting.push(callback)
    }) as never)
    return {
      asked,
      answer: () => {
        for (const each of waiting.splice(0)) each(null, home)
      },
    }
  }

  const closing = <T extends Transport>(transport: T): T => {
    own({ close: () => transport.close(true) })
    return transport
  }

  it('to one name are opened with one lookup', async () => {
    const http1 = own(await originServer())
    const http2 = own(await http2Origin((stream) => stream.respond({ ':status': 200 }, { endStream: true })))
    const target = targetOf(`http://app.sluice-test.invalid:${http1.port}`)
    const wire = closing(wireTransport())
    const over2 = closing(http2Transport())
    const undici = closing(undiciTransport())
    // Servers look up where they listen, too.
    const { asked, answer } = slowly()
    const served = Promise.all([
      ...Array.from({ length: 5 }, () => ask(wire, target)),
      ask(over2, targetOf(`http://app.sluice-test.invalid:${http2.port}`)),
      ask(undici, target),
      dial()(target, new AbortController().signal).then((socket) => void socket.destroy()),
    ])
    await ticks()
    expect(asked).toEqual(['app.sluice-test.invalid'])
    answer()
    await served
  })

  it('behind safeTargets() are opened with one lookup', async () => {
    const { port } = own(await originServer())
    const wire = closing(wireTransport({ connect: safeTargets({ allow: ['127.0.0.0/8'] }) }))
    const { asked, answer } = slowly()
    const served = Promise.all(
      Array.from({ length: 5 }, () => ask(wire, targetOf(`http://app.sluice-test.invalid:${port}`))),
    )
    expect(asked).toEqual(['app.sluice-test.invalid'])
    answer()
    await served
  })

  it('by a lookup of the user’s ask it for each', async () => {
    const { port } = own(await originServer())
    const asked: string[] = []
    const lookup: LookupFunction = (name, _options, callback) => {
      asked.push(name)
      setImmediate(callback, null, home)
    }
    const wire = closing(wireTransport({ connect: { check() {}, lookup } }))
    const target = targetOf(`http://app.sluice-test.invalid:${port}`)
    await Promise.all(Array.from({ length: 5 }, () => ask(wire, target)))
    expect(asked).toHaveLength(5)
  })

  it('to a name that nobody answers for leave a thread to the others', async () => {
    const { port } = own(await originServer())
    const wire = closing(wireTransport())
    // As libuv does: two at a time, the others wait.
    const line: (() => void)[] = []
    let free = 2
    const next = () => {
      while (free > 0 && line.length > 0) {
        free--
        line.shift()?.()
      }
    }
    vi.spyOn(dns, 'lookup').mockImplementation(((name: string, _options: unknown, callback: Callback) => {
      line.push(() => {
        if (name === 'silent.sluice-test.invalid') return
        setImmediate(() => {
          free++
          callback(null, home)
          next()
        })
      })
      next()
    }) as never)
    const silent = targetOf(`http://silent.sluice-test.invalid:${port}`)
    const lost = Promise.allSettled(
      Array.from({ length: 20 }, () => send(wire, silent, {}, { connect: 100 })),
    )
    await ask(wire, targetOf(`http://app.sluice-test.invalid:${port}`))
    expect(new Set((await lost).map(({ status }) => status))).toEqual(new Set(['rejected']))
  })
})
