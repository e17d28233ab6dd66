// What becomes of a flood: latencies of those that are let in, beside the same app's when it has little to do, and memory.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { addressOf } from './addresses.mjs'
import { stopAll } from './children.mjs'
import { goalLine } from './goals.mjs'
import { originTold, startContenders, startOrigin } from './household.mjs'
import { writeRecord } from './record.mjs'
import { markdown } from './report.mjs'
import { scenarios } from './scenarios.mjs'
import { spread } from './statistics.mjs'
import { coreMicroseconds, cpuMicroseconds, residentBytes } from './usage.mjs'

const load = fileURLToPath(new URL('../load/flood.mjs', import.meta.url))
/** Clients of the flood. What a server has under way is bounded by it, whatever it does. */
const connections = 1000
/** Ms from one look at the memory to the next: to look takes time that the load would have. */
const every = 200
/** Rounds at most: what takes longer than a minute nobody runs. */
const mostRounds = 3
/** Ms after which a load that has not ended never will, beside those of the flood. */
const overtime = 30_000
/** What others may take of the proxy's core, and the load of its own, before figures say more about them. */
const mostOthers = 0.05
const mostLoad = 0.9
/** What memory may come to in a flood, in what it was before. */
const mostGrowth = 2

/**
 * Floods each contender, says what came out and writes it. The flood is for all by what the first one can do.
 * @param settings as measureScenario takes them
 * @returns `{ goals }` as judged
 */
export async function measureFlood(name, settings) {
  const { namesFor, json, node, core, note, signal } = settings
  const scenario = scenarios[name]
  const rounds = Math.min(settings.rounds, mostRounds)
  const seconds = Math.max(settings.seconds, 4)
  const setting = { scenario: name, rounds, seconds, connections, node: node.version, cpu: cpus()[0]?.model }
  console.log(
    [
      `${name}: a request is ${scenario.what}, asked for ${scenario.flood} times as often as it can be answered`,
      `${rounds} rounds of ${seconds} s of flood over ${connections} connections`,
      ...scenario.goals.map(
        ({ contender, atMost }) => `goal: p99 of what ${contender} lets in ≤ ${atMost} × its own in idle`,
      ),
      `contenders by Node ${node.version} on ${setting.cpu}; origin: ${originTold(scenario)}`,
      core === undefined ? note : 'the proxy has a core of its own, load and origin share the rest',
      '',
    ].join('\n'),
  )
  try {
    const names = namesFor(scenario)
    const origin = await startOrigin(name, scenario)
    const how = { cores: core, node: node.path, flags: [], signal }
    const { servers, skipped } = await startContenders(names, origin, [name, scenario], how)
    for (const [one, why] of Object.entries(skipped)) console.log(`${one} is skipped: ${why}`)
    const measured = Object.fromEntries(Object.keys(servers).map((one) => [one, []]))
    let capacity
    for (let round = 1; round <= rounds; round++) {
      for (const [one, { asked, pid, port }] of Object.entries(servers)) {
        const told = { connections, times: scenario.flood, seconds, capacity }
        const result = await flood(addressOf(asked, port), told, { pid, core, signal })
        capacity ??= result.capacity
        measured[one].push(result)
        console.error(`round ${round}/${rounds}  ${one}: ${result.ratio.toFixed(1)} × the idle p99`)
      }
    }
    console.log(`\n${table(measured)}\n`)
    for (const line of warnings(measured)) console.log(line)
    const goals = scenario.goals.flatMap((goal) => judged(goal, measured))
    for (const goal of goals) console.log(goalLine(goal))
    writeRecord(name, json, { ...setting, what: scenario.what, contenders: measured, goals, skipped })
    return { goals }
  } finally {
    await stopAll()
  }
}

function judged({ contender, atMost }, measured) {
  const goal = (what, against, most, of) => {
    const ratio = measured[contender] === undefined ? undefined : spread(measured[contender].map(of)).median
    return {
      contender: what,
      against,
      atMost: most,
      ratio,
      reached: ratio === undefined ? undefined : ratio <= most,
    }
  }
  return [
    goal(`p99 of ${contender} in the flood`, 'idle', atMost, ({ ratio }) => ratio),
    goal(`memory of ${contender} in the flood`, 'before', mostGrowth, ({ rss }) => rss.most / rss.before),
  ]
}

/** What makes these figures doubtful. */
function warnings(measured) {
  const rounds = Object.values(measured).flat()
  const percent = (of) => (spread(rounds.map(of)).median * 100).toFixed(0)
  const lines = []
  if (rounds.some(({ others }) => others > mostOthers))
    lines.push(
      `Other processes took ${percent(({ others }) => others)} % of the proxy's core: measure again when they rest.`,
    )
  if (rounds.some(({ flood }) => flood.busy > mostLoad))
    lines.push(
      `The load took ${percent(({ flood }) => flood.busy)} % of a core: latencies are partly its own.`,
    )
  return lines
}

/** One flood of one server. Memory is what it has when the flood begins, and the most that it has in it. */
async function flood(address, told, { pid, core, signal }) {
  const child = spawn(process.execPath, [load, address, JSON.stringify(told)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
    timeout: told.seconds * 1000 + overtime,
    killSignal: 'SIGKILL',
  })
  const now = () => ({
    at: performance.now() * 1000,
    cpu: cpuMicroseconds(pid),
    all: core === undefined ? 0 : coreMicroseconds(core),
  })
  let out = ''
  let before
  let most = 0
  const timer = setInterval(() => {
    if (before !== undefined) most = Math.max(most, residentBytes(pid))
  }, every)
  child.stdout.on('data', (chunk) => {
    out += chunk
    before ??= { ...now(), memory: residentBytes(pid) }
  })
  try {
    const [code, killed] = await once(child, 'close')
    if (code !== 0) throw new Error(`the load ended with ${code ?? killed}`)
  } finally {
    clearInterval(timer)
  }
  const after = now()
  const took = after.at - before.at
  const cpu = after.cpu - before.cpu
  const others = core === undefined ? 0 : Math.max(0, after.all - before.all - cpu) / took
  const { capacity, idle, flood } = JSON.parse(out.trim().split('\n').at(-1))
  // Who lets nobody in has no latency, and reaches nothing by it.
  const ratio = flood.p99 === null || idle.p99 === null ? Number.POSITIVE_INFINITY : flood.p99 / idle.p99
  const rss = { before: before.memory, most: Math.max(most, before.memory) }
  return { capacity, idle, flood, ratio, rss, busy: cpu / took, others }
}

function table(measured) {
  const head = ['contender', 'answers/s at most', 'idle p99 ms', 'asked/s', 'let in/s', 'refused/s', 'broken']
  head.push(
    'p99 ms in its first second',
    'after it',
    '÷ idle',
    'RSS MB before',
    'in the flood',
    'busy',
    'others',
    'load',
  )
  const rows = Object.entries(measured).map(([name, rounds]) => {
    const median = (of) => spread(rounds.map(of)).median
    const perSecond = (of) => median(({ flood }) => (of(flood) / flood.took) * 1000).toFixed(0)
    const percent = (of) => `${(median(of) * 100).toFixed(0)} %`
    const megabytes = (of) => (median(of) / 1e6).toFixed(0)
    return [
      name,
      median(({ capacity }) => capacity).toFixed(0),
      median(({ idle }) => idle.p99 ?? Number.NaN)
        .toFixed(1)
        .replace('NaN', '-'),
      perSecond(({ asked, unsent }) => asked - unsent),
      perSecond(({ letIn }) => letIn),
      perSecond(({ refused }) => refused),
      String(rounds.reduce((sum, { flood }) => sum + flood.errors, 0)),
      median(({ flood }) => flood.begins.p99 ?? Number.NaN)
        .toFixed(1)
        .replace('NaN', '-'),
      median(({ flood }) => flood.p99 ?? Number.NaN)
        .toFixed(1)
        .replace('NaN', '-'),
      median(({ ratio }) => ratio).toFixed(1),
      megabytes(({ rss }) => rss.before),
      megabytes(({ rss }) => rss.most),
      percent(({ busy }) => busy),
      percent(({ others }) => others),
      percent(({ flood }) => flood.busy),
    ]
  })
  return markdown(head, rows)
}
