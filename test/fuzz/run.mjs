// Sends mutated messages through the parser of the wire transport and through the assembled proxy, and ends with 1 if either did
// anything that it may not.
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { crew } from './lib/crew.mjs'
import { checkOne, sharedBytes } from './lib/fuzz.mjs'
import { start } from './lib/mutator.mjs'
import { runSurface, surfaces } from './lib/surface-run.mjs'

const names = ['parser', ...Object.keys(surfaces)]

/** Minutes in all where neither they nor a count are given: enough to see that it works. */
const few = 2
/** Streams of the parser in a second at most: what its samples are spread over where minutes decide. */
const quick = 150_000

const usage = `usage: npm run fuzz -- [--what ${names.join(',')}] [--minutes ${few} | --count N] [--seed N] [--workers N]
       npm run fuzz -- --what parser --input BASE64 [--method GET] [--upgrade]
       npm run fuzz -- --what ${Object.keys(surfaces).join('|')} --input BASE64`

async function main() {
  const options = readOptions()
  if (options === undefined) {
    console.error(usage)
    return 2
  }
  const { what, input, seed, workers, count } = options
  if (input !== undefined) return await again(what[0], Buffer.from(input, 'base64'), options)
  const minutes = count === undefined ? options.minutes / what.length : undefined
  const share = minutes === undefined ? `${count} of each` : `${+minutes.toFixed(2)} minutes of each`
  console.log(`${what.join(', ')}: ${share}, seed ${seed}, ${workers} workers`)
  const before = descriptors()
  let failed = 0
  for (const name of what) {
    console.log(`\n${name}`)
    const run = name === 'parser' ? parser : assembled(name)
    const { results, seconds } = await run({ count, minutes, seed, workers })
    failed += summarise(results, seconds)
  }
  const left = descriptors() - before
  if (left > 8) {
    console.error(`\nfailed: ${left} descriptors are left open`)
    failed++
  }
  console.log(failed === 0 ? '\nnothing failed' : `\n${failed} failed`)
  return failed === 0 ? 0 : 1
}

function readOptions() {
  const number = (text, least) =>
    /^\d{1,15}(\.\d+)?$/.test(text) && Number(text) >= least ? Number(text) : undefined
  const whole = (text, least) => (Number.isInteger(Number(text)) ? number(text, least) : undefined)
  try {
    const { values } = parseArgs({
      options: {
        what: { type: 'string', default: names.join() },
        count: { type: 'string' },
        minutes: { type: 'string' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
        workers: { type: 'string', default: String(Math.min(availableParallelism(), 4)) },
        input: { type: 'string' },
        method: { type: 'string', default: 'GET' },
        upgrade: { type: 'boolean', default: false },
      },
    })
    const what = values.what.split(',')
    if (what.some((name) => !names.includes(name))) return undefined
    if (values.input !== undefined && what.length !== 1) return undefined
    if (values.count !== undefined && values.minutes !== undefined) return undefined
    const count = values.count === undefined ? undefined : whole(values.count, 1)
    const minutes = number(values.minutes ?? String(few), 0)
    const [seed, workers] = [whole(values.seed, 0), whole(values.workers, 1)]
    if ([seed, workers, minutes].includes(undefined)) return undefined
    if (values.count !== undefined && count === undefined) return undefined
    return { ...values, what, count, minutes, seed, workers }
  } catch {
    return undefined
  }
}

/** One message alone, as a failure has printed it. */
async function again(what, input, { method, upgrade, seed }) {
  if (what !== 'parser') {
    // Cut in so many ways.
    const result = await runSurface({ surface: what, seed, count: 64, input })
    console.log(result)
    return result.failure === undefined ? 0 : 1
  }
  const result = checkOne(input, { method, upgrade })
  console.log(result)
  return result.wrong === undefined ? 0 : 1
}

function parser({ count, minutes, seed, workers }) {
  return crew({
    script: new URL('lib/worker.mjs', import.meta.url),
    workers,
    data: { count: count ?? Math.ceil(minutes * 60 * quick * workers), minutes, seed },
    own: (data) => Object.assign(data, { memory: sharedBytes() }),
    // A stream takes microseconds.
    hangs: 20_000,
    hung: ([runs, end], { memory }) => {
      const input = Buffer.from(memory).subarray(start, end).toString('base64')
      return { runs, refused: {}, whole: 0, heap: [], failure: { wrong: 'it hangs', inputs: [{ input }] } }
    },
    tell: (done, seconds) => console.log(`${done} streams, ${Math.round(done / seconds)} a second`),
  })
}

function assembled(surface) {
  return ({ count, minutes, seed, workers }) =>
    crew({
      script: new URL('lib/surface-worker.mjs', import.meta.url),
      workers,
      data: { surface, count, minutes, seed },
      // Whatever waits within a batch waits 45 s at most, and says so itself: this is for a turn that doesn't end.
      hangs: 180_000,
      hung: ([runs, first]) => ({
        runs,
        taken: 0,
        answered: {},
        heap: [],
        failure: { wrong: 'it hangs', runs: [first, first + 31], inputs: [] },
      }),
      tell: (done, seconds) => console.log(`${done} messages, ${Math.round(done / seconds)} a second`),
    })
}

/** Tells what came of it. Returns how many workers have failed. */
function summarise(results, seconds) {
  const sum = (of) => results.reduce((total, result) => total + (of(result) ?? 0), 0)
  const runs = sum((result) => result.runs)
  console.log(`${runs} in ${seconds.toFixed(1)} s: ${Math.round(runs / seconds)} a second`)
  const tell = (times, what) => console.log(`${((times / runs) * 100).toFixed(1).padStart(5)} % ${what}`)
  if (results[0].refused === undefined) {
    tell(
      sum(({ taken }) => taken),
      'requests that the proxy took',
    )
    for (const digit of [2, 4, 5])
      tell(
        sum(({ answered }) => answered[digit]),
        `answers ${digit}xx`,
      )
  } else {
    tell(
      sum(({ whole }) => whole),
      'read to their end',
    )
    const codes = new Set(results.flatMap(({ refused }) => Object.keys(refused)))
    for (const code of codes)
      tell(
        sum(({ refused }) => refused[code]),
        code,
      )
  }
  for (const [index, { heap }] of results.entries())
    if (heap.length > 0) {
      const few = heap.filter((_size, i) => i % Math.ceil(heap.length / 16) === 0)
      console.log(`heap of worker ${index} in MB: ${few.map((size) => (size / 1e6).toFixed(1)).join(' ')}`)
    }
  const failures = results.flatMap(({ failure }) => failure ?? [])
  for (const { wrong, inputs = [], input, runs: between, run, asked, cuts } of failures) {
    console.error(`\nfailed: ${wrong}`)
    if (run !== undefined)
      console.error(`run ${run}, asked ${JSON.stringify(asked)}, cut at ${JSON.stringify(cuts)}`)
    if (between !== undefined) console.error(`runs ${between.join(' to ')}`)
    for (const each of input === undefined ? inputs : [{ input }])
      console.error(
        `input${each.index === undefined ? '' : ` of run ${each.index}`} in base64: ${each.input}`,
      )
  }
  return failures.length
}

/** Open descriptors of this process, where the system tells of them. */
function descriptors() {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}

process.exitCode = await main()
