import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  createUpstream,
  hasOther,
  isWithdrawn,
  type Lease,
  type StateChange,
  type Target,
  type Upstream,
} from './index.js'

/** What is known of a target, in the plainest terms. */
interface Known {
  readonly id: string
  url: string
  priority: number
  verdict: 'unknown' | 'healthy' | 'unhealthy'
  degraded: boolean
  readonly drainers: Set<string>
  readonly ejectors: Set<string>
  since: number
  inFlight: number
  answering: number
}

interface World {
  readonly upstream: Upstream
  now: number
  targets: Known[]
  /** Of all targets that there have been, what events have said of them last. */
  readonly told: Map<Target, string>
  events: StateChange[]
  panics: boolean[]
  readonly leases: { readonly lease: Lease; readonly known: Known; phase: string }[]
}

const usable = (known: Known): boolean =>
  known.drainers.size === 0 && known.ejectors.size === 0 && known.verdict !== 'unhealthy'
const stateOf = (known: Known): string =>
  known.drainers.size > 0 ? 'draining' : known.ejectors.size > 0 ? 'ejected' : known.verdict
const labelOf = (known: Known): string => (usable(known) && known.degraded ? 'degraded' : stateOf(known))

/** Who is asked first, second and so on, each with those that are asked at the same time. */
function ranksOf(targets: readonly Known[], panic: number): { ranks: string[][]; panicking: boolean } {
  const members = targets.filter(({ drainers }) => drainers.size === 0)
  const fit = members.filter(usable)
  const panicking = members.length > 0 && (fit.length === 0 || fit.length < members.length * panic)
  const groups = new Map<number, string[]>()
  for (const known of panicking ? members : fit) {
    const alone = fit.length > 0 && !fit.some(({ priority }) => priority === known.priority)
    const first = panicking ? Number(alone) : known.degraded ? 2 : known.verdict === 'unknown' ? 1 : 0
    const key = first * 1_000 + known.priority
    groups.set(key, [...(groups.get(key) ?? []), known.id])
  }
  return { ranks: [...groups].sort(([a], [b]) => a - b).map(([, ids]) => ids), panicking }
}

interface Step {
  readonly op: string
  readonly run: (world: World) => void
}

/** An edit of the n-th target, by both. */
function edit(op: string, n: number, act: (upstream: Upstream, target: Target, known: Known) => void): Step {
  return {
    op: `${op} ${n}`,
    run(world) {
      const { upstream, targets } = world
      if (targets.length === 0) return
      const known = targets[n % targets.length] as Known
      const was = usable(known)
      act(upstream, upstream.all[n % targets.length] as Target, known)
      if (!was && usable(known)) known.since = world.now
    },
  }
}

const n = fc.nat(5)
const who = fc.constantFrom('one', 'two')
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(n, fc.constantFrom('unknown' as const, 'healthy' as const, 'unhealthy' as const))
    .map(([i, verdict]) =>
      edit(verdict, i, (upstream, target, known) => {
        known.verdict = verdict
        upstream.mark(target, verdict, `mark ${verdict}`)
      }),
    ),
  fc.tuple(n, fc.boolean()).map(([i, on]) =>
    edit(`degraded ${on}`, i, (upstream, target, known) => {
      known.degraded = on
      upstream.degrade(target, on, `degrade ${on}`)
    }),
  ),
  fc.tuple(n, who, fc.boolean()).map(([i, by, on]) =>
    edit(`drain ${by} ${on}`, i, (upstream, target, known) => {
      if (on) known.drainers.add(by)
      else known.drainers.delete(by)
      if (on) upstream.drain(target.id, `drain ${by}`, by)
      else upstream.undrain(target.id, `undrain ${by}`, by)
    }),
  ),
  fc.tuple(n, who, fc.boolean()).map(([i, by, on]) =>
    edit(`eject ${by} ${on}`, i, (upstream, target, known) => {
      if (on) known.ejectors.add(by)
      else known.ejectors.delete(by)
      if (on) upstream.eject(target, by, `eject ${by}`)
      else upstream.restore(target, by, `restore ${by}`)
    }),
  ),
  fc
    .uniqueArray(fc.tuple(fc.nat(5), fc.nat(1), fc.nat(2)), { maxLength: 5, selector: ([id]) => id })
    .map((list) => ({
      op: `replace ${JSON.stringify(list)}`,
      run(world: World) {
        const next = list.map(([id, version, priority]) => ({
          id: `t${id}`,
          url: `http://t${id}-${version}`,
          priority,
        }))
        world.targets = next.map((each) => {
          const old = world.targets.find(({ id, url }) => id === each.id && url === each.url)
          if (old !== undefined) return Object.assign(old, each)
          return {
            ...each,
            verdict: 'unknown',
            degraded: false,
            drainers: new Set<string>(),
            ejectors: new Set<string>(),
            since: world.now,
            inFlight: 0,
            answering: 0,
          } satisfies Known
        })
        world.upstream.replace(next)
      },
    })),
  n.map((i) => ({
    op: `lease ${i}`,
    run({ upstream, targets, leases }: World) {
      const known = targets[i % targets.length]
      if (known === undefined) return
      const lease = upstream.lease(upstream.all[i % targets.length] as Target)
      known.inFlight++
      leases.push({ lease, known, phase: 'request' })
    },
  })),
  fc.tuple(fc.nat(20), fc.boolean()).map(([i, tunnel]) => ({
    op: `answer ${i}`,
    run({ leases }: World) {
      const one = leases[i % leases.length]
      if (one === undefined) return
      one.lease.answered(200, 1, tunnel)
      if (one.phase !== 'request') return
      one.phase = tunnel ? 'tunnel' : 'body'
      one.known.answering++
    },
  })),
  fc.nat(20).map((i) => ({
    op: `release ${i}`,
    run({ leases }: World) {
      const [one] = leases.splice(i % Math.max(leases.length, 1), 1)
      if (one === undefined) return
      one.known.inFlight--
      if (one.phase !== 'request') one.known.answering--
      for (let twice = 0; twice < 2; twice++) one.lease.release({ ok: true, status: 200, ttfb: 1 })
      one.lease.answered(200, 1)
    },
  })),
  fc.integer({ min: -1_000, max: 5_000 }).map((ms) => ({
    op: `${ms} ms`,
    run(world: World) {
      world.now += ms
    },
  })),
)

it('is where its targets stand, whatever happens: state, ranks, panic, counts, and one event for each change', () => {
  fc.assert(
    fc.property(
      fc.array(steps, { maxLength: 60, size: 'max' }),
      fc.constantFrom(0, 0.5, 1),
      (list, panic) => {
        const first = ['t0', 't1', 't2'].map((id) => ({ id, url: `http://${id}-0`, priority: 0 }))
        const upstream = createUpstream({ name: 'x', targets: first, panic }, 'x', () => world.now)
        const world: World = {
          upstream,
          now: 0,
          targets: first.map((each) => ({
            ...each,
            verdict: 'unknown',
            degraded: false,
            drainers: new Set<string>(),
            ejectors: new Set<string>(),
            since: Number.NEGATIVE_INFINITY,
            inFlight: 0,
            answering: 0,
          })),
          told: new Map(upstream.all.map((target) => [target, 'unknown'])),
          events: [],
          panics: [],
          leases: [],
        }
        upstream.on('state', (change) => void world.events.push(change))
        upstream.on('panic', (on) => void world.panics.push(on))
        for (const step of list) {
          const before = {
            all: upstream.all,
            available: upstream.available,
            panicking: upstream.panicking,
            labels: new Map(upstream.all.map((target, i) => [target, labelOf(world.targets[i] as Known)])),
          }
          step.run(world)
          // Each change has exactly one event: from what was told last, to what it is.
          const changed = [...before.labels].filter(([target, label]) => {
            const i = upstream.all.indexOf(target as never)
            return i < 0 || labelOf(world.targets[i] as Known) !== label
          })
          expect(world.events.map(({ target, from }) => [target.id, from])).toEqual(
            changed.map(([target]) => [target.id, world.told.get(target)]),
          )
          for (const { target, to, reason } of world.events) {
            const i = upstream.all.indexOf(target as never)
            expect(to).toBe(i < 0 ? 'removed' : labelOf(world.targets[i] as Known))
            expect(reason).not.toBe('')
            world.told.set(target, to)
          }
          for (const target of upstream.all) if (!world.told.has(target)) world.told.set(target, 'unknown')
          const { ranks, panicking } = ranksOf(world.targets, panic)
          expect(upstream.all.map(({ id }) => id)).toEqual(world.targets.map(({ id }) => id))
          expect(upstream.all.map(({ state }) => state)).toEqual(world.targets.map(stateOf))
          expect(upstream.all.map(({ since }) => since)).toEqual(world.targets.map(({ since }) => since))
          expect(upstream.all.map(({ inFlight, answering }) => [inFlight, answering])).toEqual(
            world.targets.map(({ inFlight, answering }) => [inFlight, answering]),
          )
          expect(upstream.ranks.map((rank) => rank.map(({ id }) => id))).toEqual(ranks)
          expect(upstream.available.map(({ id }) => id)).toEqual(ranks.flat())
          expect(upstream.panicking).toBe(panicking)
          // Also of those that have left: what waits for them may go to others.
          const seen = [...world.told.keys()].map((target) => {
            const rank = upstream.all.includes(target)
              ? ranks.findIndex((ids) => ids.includes(target.id))
              : -1
            const others = rank < 0 ? upstream.available.length : ranks.slice(0, rank + 1).flat().length - 1
            return isWithdrawn(target) === rank < 0 && hasOther(target) === others > 0
          })
          expect(seen).not.toContain(false)
          expect(world.panics).toEqual(panicking === before.panicking ? [] : [panicking])
          // Policies keep tables by the list: it stays as long as nothing has changed.
          if (world.events.length === 0 && upstream.all === before.all)
            expect(upstream.available).toBe(before.available)
          world.events = []
          world.panics = []
        }
        for (const { lease } of world.leases) lease.release()
        for (const target of world.told.keys()) expect([target.inFlight, target.answering]).toEqual([0, 0])
      },
    ),
    { numRuns: 300 },
  )
}, 60_000)
