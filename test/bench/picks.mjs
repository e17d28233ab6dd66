// What a pick costs, for every policy, over 10 and over 1,000 targets, and what the tables of a new list cost.
// No network and no load: one process, some seconds. `--json` prints the figures for a program.
import * as policies from '@sluice/balance'
import { createUpstream } from '@sluice/upstream'

const sizes = [10, 1000]
/** Nanoseconds that a pick may take: over 10, over 1,000. */
const goals = { constant: [200, 300], linear: [200, 4000] }
const buildGoal = 100

const { ring, maglev, rendezvous } = policies
const key = (ctx) => ctx.key
const secret = 'a secret for the benchmark alone'
const contenders = [
  ['roundRobin', 'constant', () => policies.roundRobin()],
  ['weightedRoundRobin', 'linear', () => policies.weightedRoundRobin()],
  ['random', 'constant', () => policies.random()],
  ['weightedRandom', 'linear', () => policies.weightedRandom()],
  ['first', 'constant', () => policies.first()],
  ['leastRequests', 'linear', () => policies.leastRequests()],
  ['powerOfTwo', 'constant', () => policies.powerOfTwo()],
  ['peakEwma', 'constant', observed],
  ['rendezvous', 'linear', () => policies.rendezvous(key)],
  ['ring', 'constant', () => policies.ring(key)],
  ['maglev', 'constant', () => policies.maglev(key)],
  ['boundedLoad(ring)', 'linear', () => policies.boundedLoad(policies.ring(key), 1.25)],
  ['subset(powerOfTwo)', 'constant', () => policies.subset(policies.powerOfTwo(), { size: 5, seed: 1 })],
  ['preferZone(powerOfTwo)', 'constant', () => policies.preferZone(policies.powerOfTwo(), 'a')],
  ['slowStart(powerOfTwo)', 'constant', () => policies.slowStart(policies.powerOfTwo(), '30s')],
  ['sticky(powerOfTwo), no cookie', 'constant', () => policies.sticky(policies.powerOfTwo(), { secret })],
]

const report = process.argv.includes('--json') ? [] : undefined
let met = true
report ??
  console.log(
    `${'ns a pick, best of 40'.padEnd(34)}${[...sizes, 'some out'].map((size) => String(size).padStart(8)).join('')}`,
  )
for (const [name, kind, make] of contenders) {
  const costs = sizes.map((size) => pickCost(make, listOf(size)))
  // With some left out, as tried or full ones are: no goal, but no list and no table may be made anew.
  costs.push(pickCost(make, listOf(1000), ({ inFlight, weight }) => inFlight === 6 && weight > 1))
  tell(name, costs, goals[kind])
}
report ?? console.log(`\n${'ms a new list of 1,000'.padEnd(34)}`)
for (const [name, build] of Object.entries({ ring, maglev, rendezvous }))
  tell(`${name}, built`, [buildCost(build)], [buildGoal])
if (report !== undefined) console.log(JSON.stringify(report, undefined, 2))
if (!met) process.exitCode = 1

function tell(name, costs, most) {
  const within = most.every((goal, i) => costs[i] < goal)
  met &&= within
  if (report !== undefined) return report.push({ name, costs, most, within })
  const figures = costs.map((cost) => cost.toFixed(cost < 10 ? 1 : 0).padStart(8)).join('')
  console.log(`${name.padEnd(34)}${figures}   ${within ? 'within' : 'past'} ${most.join(', ')}`)
}

/** Real targets, of different weights and loads, in two zones. */
function listOf(count) {
  const targets = Array.from({ length: count }, (_, i) => ({
    url: `http://10.0.${i >> 8}.${i & 255}:8080`,
    weight: 1 + (i % 3),
    zone: i % 2 === 0 ? 'a' : 'b',
  }))
  const upstream = createUpstream({ name: 'bench', targets })
  upstream.all.forEach((target, i) => {
    for (let held = 0; held < i % 7; held++) upstream.lease(target)
  })
  return upstream.available
}

/** peakEwma that knows every target. */
function observed(list) {
  const policy = policies.peakEwma()
  list.forEach((target, i) => {
    policy.observe(target, { ok: true, ttfb: 5 + (i % 11) })
  })
  return policy
}

function pickCost(make, list, not) {
  const pick = make(list)
  const contexts = Array.from({ length: 1024 }, (_, i) => ({
    key: `client-${i}`,
    out: { headers: ['host', 'a.example'] },
  }))
  const once = 200_000 / list.length
  const run = () => {
    const begun = process.hrtime.bigint()
    let picked = 0
    for (let i = 0; i < once; i++) if (pick(list, contexts[i & 1023], not) !== undefined) picked++
    const cost = Number(process.hrtime.bigint() - begun) / once
    if (picked !== once) throw new Error('a policy picked nobody')
    return cost
  }
  for (let i = 0; i < 10; i++) run()
  // The least is what the pick costs; the rest is what else the machine did.
  return Math.min(...Array.from({ length: 40 }, run))
}

function buildCost(policy) {
  const lists = Array.from({ length: 7 }, () => listOf(1000))
  const pick = policy(key)
  const costs = lists.map((list) => {
    const begun = process.hrtime.bigint()
    pick(list, { key: 'a' })
    return Number(process.hrtime.bigint() - begun) / 1e6
  })
  return Math.min(...costs)
}
