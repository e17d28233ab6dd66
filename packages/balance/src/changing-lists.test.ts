import { createTarget, createUpstream, type Lease, type Target, type TargetInit } from '@sluice/upstream'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  type Balancer,
  boundedLoad,
  byCount,
  first,
  leastRequests,
  maglev,
  partsOf,
  peakEwma,
  powerOfTwo,
  preferZone,
  random,
  rendezvous,
  ring,
  roundRobin,
  slowStart,
  sticky,
  subset,
  weightedRandom,
  weightedRoundRobin,
} from './index.js'

let now = 0
const clock = (): number => now
let turn = 0
const key = (): string => `key ${turn++}`
const small = { size: 101 }
const noCookie = { out: { headers: [] } }
const warming = (policy: Balancer): Balancer => slowStart(policy, '1s', { clock, steps: 3 })

const policies: [string, () => Balancer<typeof noCookie>][] = [
  ['roundRobin', roundRobin],
  ['weightedRoundRobin', weightedRoundRobin],
  ['random', random],
  ['weightedRandom', weightedRandom],
  ['first', first],
  ['leastRequests', leastRequests],
  ['powerOfTwo', powerOfTwo],
  ['peakEwma', () => peakEwma({ clock })],
  ['byCount', byCount],
  ['rendezvous', () => rendezvous(key)],
  ['ring', () => ring(key, { points: 3 })],
  ['maglev', () => maglev(key, small)],
  ['boundedLoad', () => boundedLoad(ring(key, { points: 2 }), 1.1)],
  ['boundedLoad over turns', () => boundedLoad(weightedRoundRobin(), 1.1)],
  ['slowStart over turns', () => warming(weightedRoundRobin())],
  ['slowStart over a table', () => warming(maglev(key, small))],
  ['slowStart over latencies', () => warming(peakEwma({ clock }))],
  ['slowStart by chance', () => warming(roundRobin())],
  ['slowStart over wrappers', () => warming(preferZone(boundedLoad(leastRequests()), 'a'))],
  ['subset', () => subset(warming(weightedRoundRobin()), { size: 2, seed: 3 })],
  ['preferZone', () => preferZone(subset(weightedRoundRobin(), { size: 2, seed: 3 }), 'a')],
  ['sticky', () => sticky(warming(leastRequests()), { secret: 'secret' })],
]

/** Some of six targets, by the bits of a number; their weights by it too. */
function targetsOf(number: number): TargetInit[] {
  return Array.from({ length: 6 }, (_, i) => i)
    .filter((i) => i === 0 || (number & (1 << i)) === 0)
    .map((i) => ({
      url: `http://t${i}`,
      weight: [1, 5, 0.1][(number + i) % 3] as number,
      zone: i % 2 === 0 ? 'a' : 'b',
    }))
}

const step = fc.record({
  do: fc.constantFrom(
    ...([
      'pick',
      'pick',
      'leave out',
      'leave out',
      'pick from an own list',
      'pick from an old list',
    ] as const),
    ...(['eject', 'restore', 'replace', 'let time pass', 'end'] as const),
  ),
  n: fc.nat(63),
})

it.each(policies)('%s picks from the list that it is given, whichever it was given before', (_name, make) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const upstream = createUpstream({ name: 'api', targets: targetsOf(0) }, 'upstream', clock)
      const policy = make()
      const leases: Lease[] = []
      const own = [createTarget('http://own-1'), createTarget('http://own-2')]
      const old: (readonly Target[])[] = [upstream.available]
      const pick = (list: readonly Target[], not?: (target: Target) => boolean): void => {
        const left = not === undefined ? list : list.filter((target) => !not(target))
        const picked = policy(list, noCookie, not)
        if (picked === undefined) expect(left).toEqual([])
        else {
          expect(left).toContain(picked)
          leases.push(upstream.lease(picked))
        }
      }
      for (const { do: what, n } of steps) {
        const { all, available } = upstream
        const target = all[n % all.length] as Target
        if (what === 'pick') pick(available)
        else if (what === 'leave out') pick(available, (each) => ((n >> available.indexOf(each)) & 1) === 1)
        else if (what === 'pick from an own list') pick(own)
        else if (what === 'pick from an old list') pick(old[n % old.length] as readonly Target[])
        else if (what === 'replace') {
          upstream.replace(targetsOf(n))
          old.push(upstream.available)
        } else if (what === 'let time pass') now += n * 30
        else if (what === 'end') {
          const lease = leases.pop()
          const result = n % 3 === 0 ? undefined : { ok: n % 3 === 1, ttfb: n }
          lease?.release(result)
          if (lease !== undefined) partsOf(policy).observe?.(lease.target, result)
        } else upstream[what](target, 'test', 'by chance')
      }
    }),
  )
})
