// Runs mutated replies through the parser of the wire transport, and ends with 1 if it did anything that it may not.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { checkOne, sharedBytes } from './lib/fuzz.mjs'
import { start } from './lib/mutator.mjs'

/** A stream takes microseconds; one that takes this many milliseconds never ends. */
const hangs = 20_000

const usage = `usage: npm run fuzz -- [--count 10000000] [--seed N] [--workers N]
       npm run fuzz -- --input BASE64 [--method GET] [--upgrade]`

async function main() {
  const options = readOptions()
  if (options === undefined) {
    console.error(usage)
    return 2
  }
  if (options.input !== undefined) return again(options)
  const { count, seed, workers } = options
  console.log(`${count} streams, seed ${seed}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`)
  const began = performance.now()
  const running = Array.from({ length: workers }, (_, first) => fork({ count, seed, first, step: workers }))
  const results = Promise.all(running.map(({ result }) => result))
  const clock = setInterval(() => {
    tell(running, count, began)
    for (const each of running) each.look()
  }, 5_000)
  const all = await results
  clearInterval(clock)
  for (const each of running) await each.worker.terminate()
  return summarise(all, seed, (performance.now() - began) / 1_000)
}

function readOptions() {
  const whole = (text, least) => (/^\d{1,15}$/.test(text) && Number(text) >= least ? Number(text) : undefined)
  try {
    const { values } = parseArgs({
      options: {
        count: { type: 'string', default: '10000000' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
        workers: { type: 'string', default: String(Math.min(availableParallelism(), 4)) },
        input: { type: 'string' },
        method: { type: 'string', default: 'GET' },
        upgrade: { type: 'boolean', default: false },
      },
    })
    const [count, seed, workers] = [whole(values.count, 1), whole(values.seed, 0), whole(values.workers, 1)]
    if (count === undefined || seed === undefined || workers === undefined) return undefined
    return { ...values, count, seed, workers }
  } catch {
    return undefined
  }
}

/** One stream alone, as a failure has printed it. */
function again({ input, method, upgrade }) {
  const result = checkOne(Buffer.from(input, 'base64'), { method, upgrade })
  console.log(result)
  return result.wrong === undefined ? 0 : 1
}

/** A worker with its part of the streams. This thread watches it: a parser that hangs can't say so itself. */
function fork(data) {
  const memory = sharedBytes()
  const progress = new Int32Array(new SharedArrayBuffer(8))
  const worker = new Worker(new URL('lib/worker.mjs', import.meta.url), {
    workerData: { ...data, memory, progress },
  })
  let seen = -1
  let since = performance.now()
  let hung
  const result = new Promise((resolve, reject) => {
    worker.on('message', resolve)
    worker.on('error', reject)
    worker.on('exit', (code) => reject(new Error(`a worker has ended with ${code}`)))
    hung = () => {
      const input = Buffer.from(memory).subarray(start, progress[1]).toString('base64')
      resolve({
        runs: progress[0],
        refused: {},
        whole: 0,
        bytes: 0,
        heap: [],
        failure: { wrong: 'it hangs', input },
      })
    }
  })
  return {
    worker,
    result,
    get done() {
      return progress[0]
    },
    look() {
      const now = performance.now()
      if (progress[0] !== seen) {
        seen = progress[0]
        since = now
      } else if (now - since > hangs && seen < Math.floor(data.count / data.step) - 1) {
        hung()
      }
    },
  }
}

function tell(running, count, began) {
  const done = running.reduce((sum, each) => sum + each.done, 0)
  const seconds = (performance.now() - began) / 1_000
  console.log(`${percent(done, count)} ${done} streams, ${Math.round(done / seconds)} a second`)
}

function summarise(results, seed, seconds) {
  const sum = (of) => results.reduce((total, result) => total + of(result), 0)
  const runs = sum(({ runs }) => runs)
  const refused = {}
  for (const result of results) {
    for (const [code, times] of Object.entries(result.refused)) refused[code] = (refused[code] ?? 0) + times
  }
  console.log(
    `\n${runs} streams in ${seconds.toFixed(1)} s: ${Math.round(runs / seconds)} a second, seed ${seed}`,
  )
  console.log(
    `${percent(
      sum(({ whole }) => whole),
      runs,
    )} read to their end`,
  )
  for (const [code, times] of Object.entries(refused)) console.log(`${percent(times, runs)} ${code}`)
  const megabytes = results.map(({ heap }) => heap.map((size) => (size / 1e6).toFixed(1)).join(' '))
  for (const [index, heap] of megabytes.entries()) console.log(`heap of worker ${index} in MB: ${heap}`)
  const failures = results.flatMap(({ failure }) => failure ?? [])
  for (const failure of failures) {
    const { wrong, input, asked, cuts, run } = failure
    console.error(`\nfailed: ${wrong}`)
    if (input === undefined) continue
    if (run !== undefined)
      console.error(`run ${run}, asked ${JSON.stringify(asked)}, cut at ${JSON.stringify(cuts)}`)
    console.error(`input in base64: ${input}`)
  }
  console.log(failures.length === 0 ? 'nothing failed' : `${failures.length} failed`)
  return failures.length === 0 ? 0 : 1
}

function percent(part, all) {
  return `${((part / all) * 100).toFixed(1).padStart(5)} %`
}

process.exitCode = await main()
