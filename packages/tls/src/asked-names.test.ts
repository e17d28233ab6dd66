import { inspect } from 'node:util'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred } from '../../../test/kit/until.js'
import { type X509Pair, x509Root } from '../../../test/kit/x509.js'
import { AskedNames } from './asked-names.js'
import type { CertificateFault } from './certificate-fault.js'
import { type IdentitySet, IdentitySets } from './identity-sets.js'
import type { CertificateProvider, CertificatesOptions, KeyPair } from './index.js'
import { readStoreOptions } from './store-options.js'

trapUnhandled()

const start = Date.now()
let first: X509Pair
let second: X509Pair
let rsa: X509Pair

beforeAll(async () => {
  const root = await x509Root()
  first = await root.issue({ names: ['a.test'], notAfter: start + 86_400_000 })
  second = await root.issue({ names: ['a.test'], notAfter: start + 86_400_000 })
  rsa = await root.issue({ names: ['a.test'], keyType: 'rsa', notAfter: start + 86_400_000 })
})

const pairOf = ({ chain, key }: X509Pair): KeyPair => ({ cert: chain, key })

function rig(get: CertificateProvider['get'], options: CertificatesOptions = {}) {
  const timers = handTimers()
  const faults: CertificateFault[] = []
  const gone: IdentitySet[] = []
  const calls: string[] = []
  const clock = { now: start }
  let tell: (names?: readonly string[]) => void = () => {}
  let watching = 0
  let changes = 0
  const provider: CertificateProvider = {
    get(name) {
      calls.push(name)
      return get(name)
    },
    watch(changed) {
      tell = changed
      watching++
      return { [Symbol.dispose]: () => void watching-- }
    },
  }
  const settings = readStoreOptions(options, '', { now: () => clock.now, after: timers.after })
  const asked = new AskedNames(provider, 'certificates[0]', settings, new IdentitySets(), new Map(), {
    fault: (fault) => void faults.push(fault),
    changed: () => void changes++,
    gone: (set) => void gone.push(set),
  })
  return {
    asked,
    timers,
    faults,
    gone,
    calls,
    clock,
    tell: (names?: readonly string[]) => tell(names),
    watching: () => watching,
    changes: () => changes,
    /** Which certificates, by their keys. */
    serves: async (name: string) => shown(await asked.get(name)),
  }
}

const shown = (set: IdentitySet | undefined): string[] | undefined =>
  set?.map(({ material }) => material.key.pem)

describe('a provider', () => {
  it('is asked once for a name, whoever waits, and its answer is kept', async () => {
    const answer = deferred<KeyPair>()
    const { asked, calls, timers } = rig(() => answer.promise)
    const waiting = [asked.get('a.test'), asked.get('a.test'), asked.get('a.test')]
    expect(timers.waits).toEqual([5_000])
    answer.resolve(pairOf(first))
    const sets = await Promise.all(waiting)
    expect(shown(sets[0])).toEqual([first.key])
    expect(new Set(sets).size).toBe(1)
    expect(asked.get('a.test')).toBe(sets[0])
    expect(calls).toEqual(['a.test'])
    expect(timers.waits).toEqual([])
  })

  it('may answer at once, with several kinds of key, and with the same pair for several names', async () => {
    const pair = pairOf(first)
    const { asked, calls } = rig((name) => (name === 'both.test' ? [pair, pairOf(rsa)] : pair))
    expect(shown((await asked.get('both.test')) as IdentitySet)).toEqual([first.key, rsa.key])
    const set = asked.get('b.test')
    expect(set).toBe(asked.get('c.test'))
    expect(set).toBe(asked.get('c.test'))
    expect(calls).toEqual(['both.test', 'b.test', 'c.test'])
  })

  it("isn't asked again for a name that it had none for, until the time is over", async () => {
    for (const none of [undefined, null, [], Promise.resolve(undefined)]) {
      const { serves, calls, clock } = rig(() => none as never, { missing: '3s' })
      for (const after of [0, 0, 2_999]) {
        clock.now = start + after
        expect(await serves('a.test')).toBeUndefined()
      }
      expect(calls).toHaveLength(1)
      clock.now = start + 3_000
      expect(await serves('a.test')).toBeUndefined()
      expect(calls).toHaveLength(2)
      // A clock that is set back holds nobody up for ever.
      clock.now = start - 1_000_000
      await serves('a.test')
      expect(calls).toHaveLength(3)
    }
  })

  it('remembers no more names than a bound, and keeps no more answers than another', async () => {
    const { asked, calls, serves } = rig((name) => (name.startsWith('x') ? undefined : pairOf(first)), {
      contexts: 2,
    })
    for (let i = 0; i < 10_001; i++) void asked.get(`x${i}.test`)
    await serves('x10000.test')
    expect(calls).toHaveLength(10_001)
    await serves('x0.test')
    expect(calls).toHaveLength(10_002)
    for (const name of ['a', 'b', 'c', 'a']) await serves(name)
    expect(calls.slice(10_002)).toEqual(['a', 'b', 'c', 'a'])
    expect([...asked.identities()]).toHaveLength(2)
  })

  it.each<[string, () => unknown, string]>([
    ['throws', () => thrown(new Error('gone')), 'gone'],
    ['throws no error', () => thrown('text'), "the provider threw 'text'"],
    ['rejects', () => Promise.reject(new Error('gone')), 'gone'],
    [
      'throws when its answer is looked at',
      () => new Proxy({}, { get: () => thrown(new Error('gone')) }),
      'gone',
    ],
    ['gives something else', () => 7, 'certificates[0].get("a.test"): got a number, takes { cert, key }'],
    [
      'gives half a pair',
      () => ({ cert: first.cert }),
      'certificates[0].get("a.test").key: got nothing, takes',
    ],
    [
      'gives a wrong pair among good ones',
      () => [pairOf(rsa), { cert: first.cert, key: second.key }],
      `certificates[0].get("a.test")[1].key: got a private key that doesn't fit`,
    ],
    ['gives what has expired', () => expired, 'which expired at'],
    ['is a hostile promise', () => ({ [name('then')]: () => thrown(new Error('gone')) }), 'gone'],
  ])('that %s has none, and then the last good one', async (_, wrong, says) => {
    let answer: () => unknown = wrong
    const { serves, faults, calls, clock, tell } = rig(() => answer() as KeyPair)
    expect(await serves('a.test')).toBeUndefined()
    expect(await serves('a.test')).toBeUndefined()
    expect(faults).toMatchObject([{ where: 'certificates[0]', servername: 'a.test', kept: false }])
    expect(faults[0]?.error.message).toContain(says)
    expect(inspect(faults)).not.toContain('PRIVATE')
    clock.now += 10_000
    answer = () => pairOf(first)
    expect(await serves('a.test')).toEqual([first.key])
    answer = wrong
    tell(['a.test'])
    expect(await serves('a.test')).toEqual([first.key])
    expect(await serves('a.test')).toEqual([first.key])
    expect(calls).toHaveLength(3)
    expect(faults).toMatchObject([{ kept: false }, { kept: true }])
    clock.now += 10_000
    answer = () => pairOf(second)
    expect(await serves('a.test')).toEqual([second.key])
  })

  it('that stalls is given up after its time, and what comes late serves the next one', async () => {
    const answers = [deferred<KeyPair>(), deferred<KeyPair | undefined>()]
    let nth = 0
    const { asked, serves, faults, timers, tell } = rig(() => answers[nth++]?.promise, { timeout: '2s' })
    const waiting = asked.get('a.test')
    await timers.fire(2_000)
    expect(await waiting).toBeUndefined()
    expect(faults[0]?.error.message).toBe('the provider gave no answer in 2000 ms')
    expect(await serves('a.test')).toBeUndefined()
    answers[0]?.resolve(pairOf(first))
    await answers[0]?.promise
    expect(await serves('a.test')).toEqual([first.key])
    tell()
    const again = serves('a.test')
    await timers.fire(2_000)
    expect(await again).toEqual([first.key])
    answers[1]?.reject(new Error('late'))
    expect(await serves('a.test')).toEqual([first.key])
    expect(faults).toHaveLength(2)
  })

  it('does not let a late answer take the place of a newer one', async () => {
    const slow = deferred<KeyPair>()
    let nth = 0
    const { serves, timers, clock } = rig(() => (nth++ === 0 ? slow.promise : pairOf(second)))
    const waiting = serves('a.test')
    await timers.fire()
    expect(await waiting).toBeUndefined()
    clock.now += 10_000
    expect(await serves('a.test')).toEqual([second.key])
    slow.resolve(pairOf(first))
    await slow.promise
    expect(await serves('a.test')).toEqual([second.key])
  })

  it('is asked for so many names at once, others wait in line, and then have none', async () => {
    const answers = new Map<string, ReturnType<typeof deferred<KeyPair | undefined>>>()
    const { asked, calls, timers } = rig(
      (name) => {
        const answer = deferred<KeyPair | undefined>()
        answers.set(name, answer)
        return answer.promise
      },
      { lookups: 2, timeout: '2s' },
    )
    const names = Array.from({ length: 30 }, (_, i) => `n${i}.test`)
    const sets = names.map((name) => asked.get(name))
    expect(calls).toEqual(names.slice(0, 2))
    expect(sets.filter((set) => set instanceof Promise)).toHaveLength(22)
    expect(timers.waits).toHaveLength(22)
    // Nothing is remembered of those that found no place.
    expect(sets.slice(22)).toEqual(names.slice(22).map(() => undefined))
    answers.get('n0.test')?.resolve(pairOf(first))
    expect(shown(await sets[0])).toEqual([first.key])
    expect(calls).toEqual(names.slice(0, 3))
    // The time of one that stalls is over; so is that of one in line, which is never asked for.
    await timers.fire()
    expect(await sets[1]).toBeUndefined()
    expect(calls).toEqual(names.slice(0, 4))
    while (timers.waits.length > 0) await timers.fire()
    expect(await Promise.all(sets)).toHaveLength(30)
    expect(calls.length).toBeLessThanOrEqual(22)
  })

  it('goes through its line where it answers at once, too', async () => {
    const one = deferred<undefined>()
    const { asked, calls } = rig((name) => (name === 'n0.test' ? one.promise : undefined), { lookups: 1 })
    const sets = Array.from({ length: 11 }, (_, i) => asked.get(`n${i}.test`))
    expect(calls).toHaveLength(1)
    one.resolve(undefined)
    await Promise.all(sets)
    expect(calls).toHaveLength(11)
  })

  it('is asked again for what it tells of, by name or all, and the old set goes', async () => {
    let pair = pairOf(first)
    const { asked, serves, calls, tell, gone, changes } = rig(() => pair)
    const before = await asked.get('a.test')
    await serves('b.test')
    pair = pairOf(second)
    tell(['A.test.'])
    expect(changes()).toBe(1)
    expect(await serves('a.test')).toEqual([second.key])
    expect(await serves('b.test')).toEqual([first.key])
    expect(gone).toEqual([before])
    for (const names of [undefined, ['*.test']]) {
      tell(names)
      calls.length = 0
      await serves('a.test')
      await serves('b.test')
      await serves('b.test')
      expect(calls).toEqual(['a.test', 'b.test'])
    }
  })

  it('forgets that it had none, when it tells of a change', async () => {
    let pair: KeyPair | undefined
    const { serves, tell } = rig(() => pair)
    for (const names of [['a.test'], undefined]) {
      pair = undefined
      tell(names)
      expect(await serves('a.test')).toBeUndefined()
      pair = pairOf(first)
      expect(await serves('a.test')).toBeUndefined()
      tell(names)
      expect(await serves('a.test')).toEqual([first.key])
    }
  })

  it('is asked once more after a change that it told of while it was asked', async () => {
    const answers = [deferred<KeyPair>(), deferred<KeyPair>()]
    let nth = 0
    const { serves, tell } = rig(() => answers[nth++]?.promise)
    const waiting = serves('a.test')
    tell(['a.test'])
    answers[0]?.resolve(pairOf(first))
    expect(await waiting).toEqual([first.key])
    answers[1]?.resolve(pairOf(second))
    expect(await serves('a.test')).toEqual([second.key])
    expect(await serves('a.test')).toEqual([second.key])
    expect(nth).toBe(2)
  })

  it('is asked in passing for what is old, and waited for when a certificate has expired', async () => {
    let answer: () => KeyPair | Promise<KeyPair> = () => pairOf(first)
    const { asked, serves, calls, clock } = rig(() => answer(), { refresh: '1h' })
    await serves('a.test')
    const late = deferred<KeyPair>()
    answer = () => late.promise
    clock.now += 3_600_000
    expect(shown(asked.get('a.test') as IdentitySet)).toEqual([first.key])
    expect(shown(asked.get('a.test') as IdentitySet)).toEqual([first.key])
    expect(calls).toHaveLength(2)
    late.resolve(pairOf(second))
    await late.promise
    expect(await serves('a.test')).toEqual([second.key])
    clock.now = start + 86_400_001
    const newer = await (await x509Root()).issue({ notAfter: start + 2 * 86_400_000 })
    answer = async () => pairOf(newer)
    expect(await serves('a.test')).toEqual([newer.key])
  })

  it('is never asked in passing with refresh: 0', async () => {
    const { serves, calls, clock } = rig(() => pairOf(first), { refresh: 0 })
    await serves('a.test')
    clock.now += 80_000_000
    await serves('a.test')
    expect(calls).toHaveLength(1)
  })

  it('disposed of leaves no timer, no watcher and nobody waiting', async () => {
    const answer = deferred<KeyPair>()
    const { asked, timers, watching, tell, changes } = rig(() => answer.promise, { lookups: 1 })
    expect(watching()).toBe(1)
    const waiting = [asked.get('a.test'), asked.get('b.test')]
    asked[Symbol.dispose]()
    expect(await Promise.all(waiting)).toEqual([undefined, undefined])
    expect([timers.waits.length, watching()]).toEqual([0, 0])
    tell()
    expect(changes()).toBe(0)
    answer.resolve(pairOf(first))
    await answer.promise
    expect(asked.get('a.test')).toBeUndefined()
  })
})

it('serves what a model of it serves, whatever comes in whatever order', async () => {
  const names = ['a.test', 'b.test', 'c.test']
  const step = fc.oneof(
    fc.record({ op: fc.constant('ask' as const), name: fc.constantFrom(...names) }),
    fc.record({
      op: fc.constantFrom('first' as const, 'second' as const, 'none' as const, 'fail' as const),
      name: fc.constantFrom(...names),
    }),
    fc.record({ op: fc.constant('timeout' as const), name: fc.constantFrom(...names) }),
    fc.record({ op: fc.constant('tell' as const), name: fc.constantFrom(...names, 'all') }),
    fc.record({ op: fc.constant('pass' as const), name: fc.constant('') }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const pending = new Map<string, ReturnType<typeof deferred<KeyPair | undefined>>>()
      const pairs = { first: pairOf(first), second: pairOf(second) }
      const { asked, timers, clock, tell, calls } = rig(
        (name) => {
          const answer = deferred<KeyPair | undefined>()
          pending.set(name, answer)
          return answer.promise
        },
        { refresh: 0 },
      )
      // The plainest terms: what is held, whether it is to be asked for, and who waits.
      const model = new Map(
        names.map((name) => [
          name,
          { held: undefined as string | undefined, askFrom: 0, asked: false, changed: false },
        ]),
      )
      const waiting = new Map<string, Promise<IdentitySet | undefined>[]>(names.map((name) => [name, []]))
      const over = async (name: string, held: string | undefined): Promise<void> => {
        for (const promise of waiting.get(name) ?? [])
          expect(shown(await promise)).toEqual(held === undefined ? undefined : [held])
        waiting.set(name, [])
      }
      let expected = 0
      for (const { op, name } of steps) {
        const known = model.get(name)
        if (op === 'pass') clock.now += 10_000
        else if (op === 'tell') {
          tell(name === 'all' ? undefined : [name])
          for (const [each, one] of model) {
            if (name !== 'all' && name !== each) continue
            one.askFrom = 0
            if (one.asked) one.changed = true
          }
        } else if (known === undefined) continue
        else if (op === 'ask') {
          const found = asked.get(name)
          const mustAsk = clock.now >= known.askFrom
          if (found instanceof Promise) {
            expect(mustAsk).toBe(true)
            waiting.get(name)?.push(found)
            if (!known.asked) expected++
            known.asked = true
          } else {
            expect(mustAsk).toBe(false)
            expect(shown(found)).toEqual(known.held === undefined ? undefined : [known.held])
          }
          expect(calls).toHaveLength(expected)
        } else if (known.asked) {
          if (op === 'timeout') {
            // Whose timer it is shows where there is but one.
            if (timers.waits.length > 1) continue
            await timers.fire()
          } else if (op === 'fail') pending.get(name)?.reject(new Error('failed'))
          else pending.get(name)?.resolve(op === 'none' ? undefined : pairs[op])
          if (op === 'first' || op === 'second') known.held = pairs[op].key as string
          if (op === 'none') known.held = undefined
          const again = op === 'first' || op === 'second' ? Number.POSITIVE_INFINITY : clock.now + 10_000
          known.askFrom = known.changed ? 0 : again
          known.asked = false
          known.changed = false
          await over(name, known.held)
        }
      }
      asked[Symbol.dispose]()
      for (const each of waiting.values()) await Promise.all(each)
      expect(timers.waits).toEqual([])
    }),
    { numRuns: 300 },
  )
})

let expired: KeyPair
beforeAll(async () => {
  expired = pairOf(await (await x509Root()).issue({ names: ['a.test'], notAfter: start - 1_000 }))
})

function thrown(what: unknown): never {
  throw what
}

/** A name that linters are right to look for. */
function name(text: string): string {
  return text
}
