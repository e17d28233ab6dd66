import { describe, expect, it } from 'vitest'
import type { AcmeOptions, OnDemandOptions } from './acme-options.js'
import { resolveAcme } from './acme-options.js'
import type { ManagedCertificate, Permit } from './managed-certificate.js'
import { managerSeams } from './manager-seams.js'
import { OnDemand } from './on-demand.js'

const minute = 60_000

interface Made {
  readonly name: string
  readonly permit: Permit
  stopped: boolean
  woken: number
  /** Its certificate comes. */
  come(): void
}

function rig(
  options: Partial<OnDemandOptions> & Pick<OnDemandOptions, 'allow'>,
  stored: readonly string[] = [],
) {
  // 0 is no time to lru-cache.
  let elapsed = 1
  const made: Made[] = []
  const left: string[] = []
  const timers: { readonly at: number; readonly fn: () => void }[] = []
  const seams = managerSeams({
    elapsed: () => elapsed,
    after: (ms, fn) => {
      const timer = { at: elapsed + ms, fn }
      timers.push(timer)
      return () => void timers.splice(timers.indexOf(timer) >>> 0, 1)
    },
  })
  const settings = resolveAcme({ agreeToTerms: true, onDemand: options } as AcmeOptions, '').onDemand
  if (settings === undefined) throw new Error('no settings')
  const onDemand = new OnDemand(
    settings,
    seams,
    (name, permit) => {
      let pairs: readonly { cert: string; key: string }[] | undefined
      let settle = (): void => {}
      const settled = new Promise<void>((resolve) => {
        settle = resolve
      })
      const come = (): void => {
        pairs = [{ cert: name, key: name }]
        settle()
      }
      if (stored.includes(name)) come()
      const one = { name, permit, stopped: false, woken: 0, come }
      made.push(one)
      return {
        load: async () => {},
        start() {},
        wake: () => void one.woken++,
        stop: async () => {
          one.stopped = true
        },
        pairsFor: () => pairs,
        settled,
      } as unknown as ManagedCertificate
    },
    (name) => left.push(name),
  )
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return {
    onDemand,
    made,
    left,
    timers,
    turn,
    async pass(ms: number) {
      elapsed += ms
      for (const timer of timers.filter(({ at }) => at <= elapsed)) {
        timers.splice(timers.indexOf(timer), 1)
        timer.fn()
      }
      await turn()
    },
  }
}

describe('names on demand', () => {
  it('are asked for once, however many wait, which have the certificate as soon as it is there', async () => {
    const asked: string[] = []
    const { made, onDemand, turn } = rig({ allow: (name) => asked.push(name) > 0 })
    const all = [1, 2, 3].map(() => onDemand.get('a.test'))
    await turn()
    const late = onDemand.get('a.test')
    made[0]?.come()
    const pairs = [{ cert: 'a.test', key: 'a.test' }]
    expect(await Promise.all([...all, late])).toEqual([pairs, pairs, pairs, pairs])
    expect(onDemand.get('a.test')).toEqual(pairs)
    expect(asked).toEqual(['a.test'])
    expect(made).toHaveLength(1)
  })

  it('keep a client waiting so long and no longer', async () => {
    const { made, onDemand, pass, timers, turn } = rig({ allow: () => true, wait: '5s' })
    const waits = onDemand.get('a.test')
    await turn()
    await pass(5_000)
    expect(await waits).toBeUndefined()
    made[0]?.come()
    expect(onDemand.get('a.test')).toHaveLength(1)
    expect(timers).toHaveLength(0)
  })

  it.each([
    ['a no', () => false],
    ['an object', () => ({}) as never],
    ['a word', () => 'yes' as never],
    ['what throws', () => Promise.reject(new Error('database'))],
    [
      'what throws at once',
      (): never => {
        throw new Error('database')
      },
    ],
  ])('are refused by %s, and asked about again a minute later', async (_, allow) => {
    let asked = 0
    const { made, onDemand, pass } = rig({
      allow: () => {
        asked++
        return allow()
      },
    })
    for (let i = 0; i < 5; i++) expect(await onDemand.get('a.test')).toBeUndefined()
    expect(asked).toBe(1)
    await pass(minute + 1)
    expect(await onDemand.get('a.test')).toBeUndefined()
    expect(asked).toBe(2)
    expect(made).toHaveLength(2)
  })

  it('are not waited for where allow hangs', async () => {
    const { onDemand, pass, turn } = rig({ allow: () => new Promise<boolean>(() => {}), wait: '20s' })
    const waits = onDemand.get('a.test')
    await turn()
    await pass(10_000)
    await turn()
    expect(await waits).toBeUndefined()
    // It failed, and is kept as a no.
    expect(onDemand.get('a.test')).toBeUndefined()
  })

  it('that are stored are served while allow hangs for others', async () => {
    const { onDemand, turn } = rig({ allow: () => new Promise<boolean>(() => {}) }, ['stored.test'])
    for (let i = 0; i < 20; i++) void onDemand.get(`n${i}.test`)
    await turn()
    expect(await onDemand.get('stored.test')).toHaveLength(1)
  })

  it('that an attacker makes up cost so many questions a minute, no order, and bounded memory', async () => {
    let asked = 0
    const { made, onDemand, turn } = rig({
      allow: () => {
        asked++
        return false
      },
      limit: { asks: 100 },
    })
    let most = 0
    for (let i = 0; i < 10_000; i++) {
      void onDemand.get(`${i.toString(36)}.attacker.test`)
      if (i % 500 === 0) await turn()
      most = Math.max(most, made.length)
    }
    await turn()
    expect(asked).toBe(100)
    expect(onDemand.all).toEqual([])
    expect(onDemand.sizes.coming).toBeLessThanOrEqual(1_008)
    expect(onDemand.sizes.refused).toBeLessThanOrEqual(10_000)
    for (const { permit } of made) expect(await permit.wait(true)).toBe(0)
  })

  it.each(['localhost', '127.0.0.1', '*.a.test', 'A.test', 'a_b.test', '', 'a.test.', 'x'.repeat(300)])(
    '%j is none',
    (name) => {
      const { made, onDemand } = rig({ allow: () => true })
      expect(onDemand.get(name)).toBeUndefined()
      expect(made).toEqual([])
    },
  )

  it('that are stored are served without a question', async () => {
    const { onDemand } = rig({ allow: () => false }, ['a.test'])
    expect(await onDemand.get('a.test')).toHaveLength(1)
  })

  it('are held up to a number; the one that was asked for least lately is left to the storage, and told', async () => {
    const { left, made, onDemand } = rig({ allow: () => false, limit: { names: 2 } }, [
      'a.test',
      'b.test',
      'c.test',
    ])
    await onDemand.get('a.test')
    await onDemand.get('b.test')
    await onDemand.get('a.test')
    await onDemand.get('c.test')
    expect(onDemand.all).toHaveLength(2)
    expect(left).toEqual(['b.test'])
    expect(made.map(({ stopped }) => stopped)).toEqual([false, true, false])
    await onDemand.close()
    expect(left).toEqual(['b.test'])
    expect(made.map(({ stopped }) => stopped)).toEqual([true, true, true])
  })

  it('are ordered so often in an hour', async () => {
    const { made, onDemand, pass, turn } = rig({ allow: () => true, limit: { orders: 2 } })
    for (const name of ['a.test', 'b.test', 'c.test']) void onDemand.get(name)
    await turn()
    const [a, b, c] = made.map(({ permit }) => permit)
    for (const permit of [a, b]) {
      expect(await permit?.wait(true)).toBe(0)
      permit?.taken()
    }
    expect(await c?.wait(true)).toBe(60 * minute)
    await pass(60 * minute)
    expect(await c?.wait(true)).toBe(0)
  })

  it('whose order has failed are tried again for who asks, and by no one else', async () => {
    let asked = 0
    let allowed = true
    const { made, onDemand, turn } = rig({
      allow: () => {
        asked++
        return allowed
      },
    })
    void onDemand.get('a.test')
    await turn()
    const [one] = made
    expect(await one?.permit.wait(true)).toBe(0)
    one?.permit.taken()
    expect(await one?.permit.wait(true)).toBe(60 * minute)
    for (let i = 0; i < 3; i++) void onDemand.get('a.test')
    expect(one?.woken).toBe(1)
    expect(asked).toBe(1)
    expect(await one?.permit.wait(true)).toBe(0)
    expect(asked).toBe(2)
    one?.permit.taken()
    allowed = false
    void onDemand.get('a.test')
    expect(await one?.permit.wait(true)).toBe(60 * minute)
    expect(asked).toBe(3)
  })

  it('are asked about again before a renewal', async () => {
    let allowed = true
    const { made, onDemand, turn } = rig({ allow: () => allowed })
    void onDemand.get('a.test')
    await turn()
    allowed = false
    expect(await made[0]?.permit.wait(true)).toBe(0)
    expect(await made[0]?.permit.wait(false)).toBe(60 * minute)
    allowed = true
    expect(await made[0]?.permit.wait(false)).toBe(0)
  })
})
