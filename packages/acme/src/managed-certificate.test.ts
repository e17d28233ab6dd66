import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FakeAuthority, fakeAuthority } from '../../../test/kit/fake-authority.js'
import { type MemoryAcmeStorage, memoryAcmeStorage } from '../../../test/kit/memory-acme-storage.js'
import { AccountKeeper, pemOf } from './account-keeper.js'
import { AcmeError } from './acme-error.js'
import type { AcmeEvent } from './acme-event.js'
import { type AcmeOptions, resolveAcme } from './acme-options.js'
import { AcmeProblem } from './acme-problem.js'
import { codeOf } from './answers.js'
import { BoundedStorage } from './bounded-storage.js'
import { ChallengeAnswers } from './challenge-answers.js'
import { DnsRecords } from './dns-records.js'
import { generateKey } from './generate-key.js'
import { ManagedCertificate, type ManagedParts } from './managed-certificate.js'
import { managerSeams } from './manager-seams.js'
import { Places } from './places.js'
import { Records } from './records.js'
import { SlidingCount } from './sliding-count.js'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const events: AcmeEvent[] = []
const note = (event: unknown): void => void events.push(event as AcmeEvent)
beforeEach(() => {
  events.length = 0
  subscribe('sluice:acme', note)
})
afterEach(() => void unsubscribe('sluice:acme', note))
const kinds = (): string[] => events.map(({ kind }) => kind)

const problem = (type: string, retryAfterMs?: number, status = 0): AcmeProblem =>
  new AcmeProblem(
    { type, detail: 'no', subproblems: [] },
    { phase: 'order', url: 'https://ca.test', status, retryAfterMs },
  )

interface Timer {
  readonly at: number
  readonly fn: () => void
}

interface Rig {
  /** Monotonic, in ms. */
  readonly elapsed: () => number
  /** Timers that wait. */
  readonly waiting: number
  readonly authority: FakeAuthority
  readonly storage: MemoryAcmeStorage
  /** Added to the clock, as when somebody sets it. */
  off: number
  readonly troubles: (string | undefined)[]
  /** A process's. */
  certificate(options?: Partial<AcmeOptions>, names?: readonly string[]): ManagedCertificate
  /** Time passes, each timer at its time, with all that comes of it. */
  pass(ms: number): Promise<void>
  /** What runs comes to its end. */
  settle(): Promise<void>
}

const accountKey = pemOf(await generateKey('ecdsa'))

function rig(): Rig {
  let elapsed = 0
  let timers: Timer[] = []
  const begin = Date.UTC(2026, 0, 1)
  const all: ManagedCertificate[] = []
  const now = (): number => begin + elapsed + one.off
  const questions = new SlidingCount(30, minute, () => elapsed)
  // The authority's clock is right.
  const authority = fakeAuthority(() => begin + elapsed)
  authority.life = 12 * day
  const storage = memoryAcmeStorage(now)
  storage.values.set('ca/account', JSON.stringify({ key: accountKey }))
  const one: Rig = {
    elapsed: () => elapsed,
    get waiting() {
      return timers.length
    },
    authority,
    storage,
    off: 0,
    troubles: [],
    certificate(options = {}, names = ['a.test']) {
      const seams = managerSeams({
        now,
        elapsed: one.elapsed,
        after: (ms, fn) => {
          const timer = { at: elapsed + ms, fn }
          timers.push(timer)
          return () => {
            timers = timers.filter((each) => each !== timer)
          }
        },
        random: () => 0,
        client: authority.client,
      })
      const settings = resolveAcme({ domains: [names], agreeToTerms: true, storage, ...options }, '')
      const records = new Records(new BoundedStorage(storage, 'ca/', seams.after), () => {})
      const dns = settings.dns && new DnsRecords(settings.dns, seams.after)
      const parts: ManagedParts = {
        settings,
        records,
        account: new AccountKeeper(settings, records, seams),
        answers: new ChallengeAnswers(records, dns, seams),
        dns,
        places: new Places(1),
        asking: new Places(1),
        questions,
        seams,
        storage: (error) => void one.troubles.push(error?.message),
        changed: () => {},
      }
      const managed = new ManagedCertificate(names, parts)
      all.push(managed)
      return managed
    },
    async settle() {
      for (const each of all) while (each.turning !== undefined) await each.turning
    },
    async pass(ms) {
      await one.settle()
      const end = elapsed + ms
      for (;;) {
        const due = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        const [first] = due
        if (first === undefined) break
        timers = timers.filter((each) => each !== first)
        elapsed = first.at
        first.fn()
        await one.settle()
      }
      elapsed = end
    },
  }
  return one
}

const left = ({ storage }: Rig): string[] =>
  [...storage.values.keys()].filter((key) => /challenges|current/.test(key))

describe('a certificate', () => {
  it('begins with nothing stored, and is ordered once', async () => {
    const on = rig()
    const managed = on.certificate()
    expect(managed.pairsFor('a.test')).toBeUndefined()
    managed.start()
    await managed.settled
    await on.settle()
    expect(managed.pairsFor('a.test')).toHaveLength(1)
    expect(kinds()).toEqual(['ordering', 'issued'])
    expect(left(on)).toEqual([])
    await on.pass(7 * day)
    expect(on.authority.orders).toHaveLength(1)
    await managed.stop()
    expect(on.waiting).toBe(0)
  })

  it('is taken from the storage where it is good, before anything has begun', async () => {
    const on = rig()
    const first = on.certificate()
    first.start()
    await first.settled
    await first.stop()
    const second = on.certificate()
    await second.load()
    expect(second.pairsFor('a.test')).toEqual(first.pairsFor('a.test'))
    second.start()
    await on.pass(day)
    expect(on.authority.orders).toHaveLength(1)
    await second.stop()
  })

  it('serves one that has expired until there is another', async () => {
    const on = rig()
    const first = on.certificate()
    first.start()
    await first.settled
    await first.stop()
    await on.pass(100 * day)
    const second = on.certificate()
    await second.load()
    const before = second.pairsFor('a.test')
    expect(before).toHaveLength(1)
    second.start()
    await on.settle()
    expect(second.pairsFor('a.test')).toHaveLength(1)
    expect(second.pairsFor('a.test')).not.toEqual(before)
    expect(on.authority.orders).toHaveLength(2)
    await second.stop()
  })

  it('is ordered anew for other names; the one before serves what it covers, and only that', async () => {
    const on = rig()
    const first = on.certificate({}, ['a.test', 'old.test'])
    first.start()
    await first.settled
    await first.stop()
    const second = on.certificate({}, ['a.test', 'new.test'])
    await second.load()
    expect(second.pairsFor('a.test')).toEqual(first.pairsFor('a.test'))
    expect(second.pairsFor('new.test')).toBeUndefined()
    second.start()
    await on.settle()
    expect(second.pairsFor('new.test')).toHaveLength(1)
    expect(second.pairsFor('old.test')).toBeUndefined()
    await second.stop()
  })

  it('is not ordered against another process whose options name less', async () => {
    const on = rig()
    const more = on.certificate({}, ['a.test', 'b.test'])
    const less = on.certificate({}, ['a.test'])
    more.start()
    await on.settle()
    less.start()
    await on.pass(3 * hour)
    expect(on.authority.orders).toHaveLength(1)
    expect(less.pairsFor('a.test')).toEqual(more.pairsFor('a.test'))
    await Promise.all([more.stop(), less.stop()])
  })

  it('stays with each of two processes whose options name others, and neither orders against the other', async () => {
    const on = rig()
    const one = on.certificate({}, ['a.test', 'b.test'])
    const other = on.certificate({}, ['a.test', 'c.test'])
    one.start()
    await on.settle()
    other.start()
    await on.pass(day)
    expect(on.authority.orders).toHaveLength(2)
    expect(one.pairsFor('b.test')).toHaveLength(1)
    expect(other.pairsFor('c.test')).toHaveLength(1)
    await Promise.all([one.stop(), other.stop()])
  })

  it('is not ordered in a loop by a clock that is ahead', async () => {
    const on = rig()
    const managed = on.certificate()
    managed.start()
    await on.settle()
    // By it each new one has little left of its twelve days.
    on.off = 10 * day
    await on.pass(2 * day)
    expect(on.authority.orders.length).toBeLessThanOrEqual(4)
    on.off = 0
    await on.pass(12 * day)
    expect(managed.infos[0]?.notAfter).toBeGreaterThan(Date.UTC(2026, 0, 1) + on.elapsed())
    await managed.stop()
  })

  it('is ordered at once after a start, however many orders there were long ago', async () => {
    const on = rig()
    const orders = [1, 2, 3, 4, 5].map((each) => Date.UTC(2025, 0, 1) + each)
    const history = { orders, failures: 0, failedAt: 0, wait: 0 }
    on.storage.values.set('ca/orders/a.test/history', JSON.stringify(history))
    const managed = on.certificate()
    managed.start()
    await managed.settled
    expect(on.authority.orders).toHaveLength(1)
    await managed.stop()
  })

  it('backs off where the authority says to look again in seconds, each time', async () => {
    const on = rig()
    on.authority.fail = (step) => (step === 'newOrder' ? problem('serverInternal', 3_000, 500) : undefined)
    const managed = on.certificate()
    managed.start()
    await on.settle()
    const at = (): number => (managed.infos[0]?.due as number) - Date.UTC(2026, 0, 1) - on.elapsed()
    expect(at()).toBe(minute)
    await on.pass(minute)
    expect(at()).toBe(2 * minute)
    await managed.stop()
  })

  it('is renewed with a third of its life left where the authority has no renewal information', async () => {
    const on = rig()
    const managed = on.certificate()
    managed.start()
    await on.pass(7.5 * day)
    expect(on.authority.orders).toHaveLength(1)
    const before = managed.pairsFor('a.test')
    await on.pass(0.5 * day)
    expect(on.authority.orders).toHaveLength(2)
    expect(managed.pairsFor('a.test')).not.toEqual(before)
    await managed.stop()
  })

  it('is renewed in the window that the authority names, which is told with its reason', async () => {
    const on = rig()
    const managed = on.certificate()
    const at = Date.UTC(2026, 0, 1)
    managed.start()
    await on.pass(hour)
    on.authority.window = {
      start: at + 10 * day,
      end: at + 11 * day,
      explanation: 'https://ca.test/why',
      retryAfterMs: 6 * hour,
    }
    await on.pass(9 * day)
    expect(events.at(-1)).toEqual({
      kind: 'window',
      names: ['a.test'],
      start: at + 10 * day,
      end: at + 11 * day,
      explanation: 'https://ca.test/why',
    })
    expect(on.authority.orders).toHaveLength(1)
    // No longer: it would be time for the next one, as this window is over then.
    await on.pass(2 * day - hour)
    expect(on.authority.orders).toHaveLength(2)
    await managed.stop()
  })

  it('goes by the last window of an authority that can not be asked, and by its own rule where there is none any more', async () => {
    const on = rig()
    const at = Date.UTC(2026, 0, 1)
    on.authority.window = { start: at + 5 * day, end: at + 5 * day + 1, retryAfterMs: hour }
    const failing = on.certificate()
    failing.start()
    await on.pass(day)
    on.authority.window = new Error('down')
    await on.pass(5 * day)
    expect(on.authority.orders).toHaveLength(2)
    await failing.stop()
    const other = rig()
    other.authority.window = { start: at + 5 * day, end: at + 5 * day + 1, retryAfterMs: hour }
    const forgotten = other.certificate()
    forgotten.start()
    await other.pass(day)
    other.authority.window = undefined
    await other.pass(6.5 * day)
    expect(other.authority.orders).toHaveLength(1)
    await forgotten.stop()
  })

  it('has no flood of questions to the authority by certificates that come and go', async () => {
    const on = rig()
    const first = on.certificate()
    first.start()
    await on.settle()
    await first.stop()
    on.authority.window = new Error('down')
    on.authority.asked = 0
    for (let i = 0; i < 100; i++) {
      const each = on.certificate()
      each.start()
      await on.settle()
      await each.stop()
    }
    expect(on.authority.asked).toBeLessThanOrEqual(30)
    const kept = on.certificate()
    kept.start()
    await on.settle()
    expect(on.authority.asked).toBe(30)
    await on.pass(minute)
    expect(on.authority.asked).toBe(31)
    await kept.stop()
  })

  it('makes no loop of an authority that wants each certificate renewed at once', async () => {
    const on = rig()
    on.authority.window = { start: 1, end: 2, retryAfterMs: 0 }
    const managed = on.certificate()
    managed.start()
    await on.pass(3 * day + hour)
    expect(on.authority.orders).toHaveLength(4)
    await managed.stop()
  })

  it('backs off after failures, has each challenge tried in turn, and tells each time', async () => {
    const on = rig()
    const steps: string[] = []
    on.authority.fail = (step) => (step === 'settled' ? problem('unauthorized') : undefined)
    on.authority.taken = () => steps.push(`${on.elapsed() / minute}`)
    const managed = on.certificate()
    managed.start()
    await managed.settled
    for (let i = 0; i < 90; i++) await on.pass(minute)
    // Five in an hour: the next one waits until the first is an hour old.
    expect(steps).toEqual(['0', '1', '3', '7', '15', '60'])
    const texts = events.flatMap((event) => (event.kind === 'failed' ? [event.problem.slice(0, 21)] : []))
    expect(texts.slice(0, 3)).toEqual([
      'a.test by tls-alpn-01',
      'a.test by http-01: ac',
      'a.test by tls-alpn-01',
    ])
    expect(left(on)).toEqual([])
    expect(managed.infos[0]).toMatchObject({ failures: 6, notAfter: undefined })
    on.authority.fail = () => undefined
    await on.pass(day)
    expect(managed.infos[0]).toMatchObject({ failures: 0, problem: undefined })
    await managed.stop()
  })

  it('stays away as long as the authority says', async () => {
    const on = rig()
    const at: number[] = []
    on.authority.fail = (step) => {
      if (step === 'newOrder') at.push(on.elapsed())
      return step === 'newOrder' && at.length < 3 ? problem('rateLimited', 5_417_000, 429) : undefined
    }
    const managed = on.certificate()
    managed.start()
    await on.settle()
    for (let i = 0; i < 5; i++) await on.pass(hour)
    expect(at).toEqual([0, 5_417_000, 2 * 5_417_000])
    expect(managed.pairsFor('a.test')).toHaveLength(1)
    await managed.stop()
  })

  it('does not begin anew what others have begun: of five, one orders, and all have it', async () => {
    const on = rig()
    const five = Array.from({ length: 5 }, () => on.certificate())
    for (const each of five) each.start()
    await on.pass(minute)
    expect(on.authority.orders).toHaveLength(1)
    const [first] = five
    for (const each of five) expect(each.pairsFor('a.test')).toEqual(first?.pairsFor('a.test'))
    await on.pass(8.5 * day)
    expect(on.authority.orders).toHaveLength(2)
    for (const each of five) expect(each.pairsFor('a.test')).toEqual(first?.pairsFor('a.test'))
    await Promise.all(five.map((each) => each.stop()))
    expect(on.waiting).toBe(0)
  })

  it('begins no order when it is stopped just then', async () => {
    const on = rig()
    const managed = on.certificate()
    const { lock } = on.storage
    Object.assign(on.storage, {
      lock: (name: string, ttl: number) => {
        void managed.stop()
        return lock(name, ttl)
      },
    })
    managed.start()
    await on.settle()
    expect(on.authority.orders).toEqual([])
    expect(on.storage.values.has('ca/orders/a.test/history')).toBe(false)
  })

  it('has what a killed process left gone on with, and cleared away', async () => {
    const on = rig()
    on.authority.gate = new Promise(() => {})
    const killed = on.certificate({ challenges: ['http-01'] })
    killed.start()
    await new Promise<void>((resolve) => {
      const look = (): void => void (left(on).length === 2 ? resolve() : setImmediate(look))
      look()
    })
    // Nothing of it runs any more: its lock lapses.
    on.off += 2 * minute
    on.authority.gate = undefined
    const next = on.certificate({ challenges: ['http-01'] })
    next.start()
    await next.settled
    expect(next.pairsFor('a.test')).toHaveLength(1)
    expect(on.authority.orders).toHaveLength(1)
    expect(kinds()).toEqual(['ordering', 'ordering', 'issued'])
    expect(events[1]).toMatchObject({ resumed: true })
    expect(left(on)).toEqual([])
    await next.stop()
  })

  it('has an order gone on with that met a gateway whose server was down', async () => {
    const on = rig()
    let times = 0
    const down = new AcmeError({ code: codeOf(502), phase: 'finalize', url: 'https://ca.test', what: '502' })
    on.authority.fail = (step) => (step === 'finalize' && times++ === 0 ? down : undefined)
    const managed = on.certificate()
    managed.start()
    await on.pass(5 * minute)
    expect(kinds()).toEqual(['ordering', 'failed', 'ordering', 'issued'])
    expect(on.authority.orders).toHaveLength(1)
    await managed.stop()
  })

  it('leaves an order that can not be gone on with', async () => {
    const on = rig()
    on.authority.gate = new Promise(() => {})
    const killed = on.certificate()
    killed.start()
    await new Promise<void>((resolve) => {
      const look = (): void => void (left(on).length === 2 ? resolve() : setImmediate(look))
      look()
    })
    on.off += 2 * minute
    on.authority.gate = undefined
    // It has come to know another key meanwhile.
    const next = on.certificate({ keyType: 'rsa' })
    next.start()
    await next.settled
    expect(on.authority.orders).toHaveLength(2)
    expect(left(on)).toEqual([])
    await next.stop()
  })

  it('serves on from memory while the storage fails, and stores what it could not', async () => {
    const on = rig()
    const managed = on.certificate()
    managed.start()
    await on.settle()
    on.storage.trouble = { calls: ['all'], what: 'throw' }
    await on.pass(8.5 * day)
    expect(managed.pairsFor('a.test')).toHaveLength(1)
    expect(on.authority.orders).toHaveLength(1)
    expect(on.troubles.at(-1)).toBe('acme storage: get certificates/a.test/ecdsa: get does not work')
    on.storage.trouble = undefined
    await on.pass(hour)
    expect(on.troubles.at(-1)).toBeUndefined()
    expect(on.authority.orders).toHaveLength(2)
    // It has lost what it had.
    for (const key of on.storage.values.keys())
      if (key.includes('certificates')) on.storage.values.delete(key)
    await on.pass(2 * hour)
    expect(on.storage.values.has('ca/certificates/a.test/ecdsa')).toBe(true)
    expect(on.authority.orders).toHaveLength(2)
    await managed.stop()
  })

  it('keeps the later one of a storage that was set back', async () => {
    const on = rig()
    const managed = on.certificate()
    managed.start()
    await on.settle()
    const backup = new Map(on.storage.values)
    await on.pass(8.5 * day)
    expect(on.authority.orders).toHaveLength(2)
    const renewed = managed.pairsFor('a.test')
    for (const [key, value] of backup) on.storage.values.set(key, value)
    await on.pass(2 * hour)
    expect(managed.pairsFor('a.test')).toEqual(renewed)
    const other = on.certificate()
    await other.load()
    expect(other.pairsFor('a.test')).toEqual(renewed)
    await managed.stop()
  })

  it('has a certificate that could not be stored serve, and stores it later, without another order', async () => {
    const on = rig()
    on.authority.fail = (step) => {
      if (step === 'certificate') on.storage.trouble = { calls: ['set'], what: 'throw' }
      return undefined
    }
    const managed = on.certificate()
    managed.start()
    await on.pass(10 * minute)
    expect(managed.pairsFor('a.test')).toHaveLength(1)
    expect(on.storage.values.has('ca/certificates/a.test/ecdsa')).toBe(false)
    on.storage.trouble = undefined
    await on.pass(hour)
    expect(on.storage.values.has('ca/certificates/a.test/ecdsa')).toBe(true)
    expect(on.authority.orders).toHaveLength(1)
    await managed.stop()
  })

  it('is there and is one for all in the end, whatever has happened, by no more than five orders in any hour', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 24 * hour }) }) },
      { weight: 2, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 10 * minute }) }) },
      fc.record({ clock: fc.integer({ min: -400, max: 400 }) }),
      fc.record({
        fails: fc.constantFrom('newOrder', 'authorization', 'settled', 'certificate', 'rate', 'none'),
      }),
      fc.record({ storage: fc.constantFrom('all', 'set', 'get', 'lock', 'delete', 'none') }),
      fc.record({ window: fc.constantFrom('none', 'now', 'later', 'down') }),
      fc.record({ restart: fc.nat(1) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 18 }), async (steps) => {
        const on = rig()
        const began: number[] = []
        on.authority.taken = () => began.push(on.elapsed())
        const two = [on.certificate(), on.certificate()]
        let forgot = false
        const held = new Set<number>()
        for (const each of two) each.start()
        for (const now of steps) {
          if ('pass' in now) await on.pass(now.pass)
          else if ('clock' in now) on.off = now.clock * day
          else if ('fails' in now)
            on.authority.fail = (at) => {
              if (now.fails === 'rate') return problem('rateLimited', 2 * hour, 429)
              return at === now.fails ? problem('unauthorized') : undefined
            }
          else if ('storage' in now)
            on.storage.trouble = now.storage === 'none' ? undefined : { calls: [now.storage], what: 'throw' }
          else if ('window' in now) {
            const at = Date.UTC(2026, 0, 1) + on.elapsed()
            on.authority.window = {
              none: undefined,
              now: { start: at - 2, end: at - 1, retryAfterMs: 1 },
              later: { start: at + 400 * day, end: at + 401 * day },
              down: new Error('down'),
            }[now.window]
          } else {
            await on.settle()
            await two[now.restart]?.stop()
            two[now.restart] = on.certificate()
            held.delete(now.restart)
            // What only its memory knew is gone with it.
            forgot ||= on.off > 0 || on.storage.trouble !== undefined
            two[now.restart]?.start()
          }
          await on.settle()
          for (const [i, each] of two.entries()) {
            if (each.pairsFor('a.test') !== undefined) held.add(i)
            expect(each.pairsFor('a.test') !== undefined).toBe(held.has(i))
          }
        }
        if (!forgot)
          for (const [i, at] of began.entries())
            if (i >= 5) expect(at - (began[i - 5] as number)).toBeGreaterThanOrEqual(hour)
        on.off = 0
        on.storage.trouble = undefined
        on.authority.fail = () => undefined
        on.authority.window = undefined
        await on.pass(2 * day)
        const [one, other] = two
        expect(one?.pairsFor('a.test')).toHaveLength(1)
        expect(other?.pairsFor('a.test')).toEqual(one?.pairsFor('a.test'))
        const now = Date.UTC(2026, 0, 1) + on.elapsed()
        expect(one?.infos[0]?.notAfter).toBeGreaterThan(now)
        if (!forgot) expect(left(on)).toEqual([])
        // A renewal that failed may no longer be wanted: the next one clears it.
        await on.pass(8 * day)
        expect(one?.infos[0]?.failures).toBe(0)
        await Promise.all(two.map((each) => each.stop()))
        expect(on.waiting).toBe(0)
      }),
      {
        examples: [
          [[{ fails: 'newOrder' as const }, { clock: 2 }, { pass: 1_000 }]],
          [[{ storage: 'delete' as const }]],
          [
            [
              { pass: day - hour },
              { fails: 'newOrder' as const },
              { window: 'now' as const },
              { pass: 2 * hour },
            ],
          ],
        ],
        numRuns: 5,
      },
    )
  }, 60_000)
})
