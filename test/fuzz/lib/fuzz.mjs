import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Chance } from './chance.mjs'
import { Checker } from './checker.mjs'
import { Mutator, most, start } from './mutator.mjs'

/** Bytes that the heap may be larger at the end than it was in between: what a just-in-time compiler keeps. */
const growthAtMost = 2 * 1024 * 1024

/** Where the streams are made, shared so that somebody else can see what takes so long. */
export function sharedBytes() {
  return new SharedArrayBuffer(start + most + 64)
}

/**
 * Runs mutated replies through the parser, those whose number is `first`, `first + step`, and so on below `count`.
 * @param {object} options
 * @param {number} options.count
 * @param {number} options.seed
 * @param {number} [options.first]
 * @param {number} [options.step]
 * @param {number} [options.samples] how often the heap is measured
 * @param {number} [options.minutes] it ends before `count` when they are over
 * @param {SharedArrayBuffer} [options.memory]
 * @param {(progress: { done: number, end: number }) => void} [options.watch] told before each stream
 */
export function fuzz({
  count,
  seed,
  first = 0,
  step = 1,
  samples = 16,
  minutes = Number.POSITIVE_INFINITY,
  memory = sharedBytes(),
  watch = () => {},
}) {
  const bytes = Buffer.from(memory)
  const chance = new Chance()
  const mutator = new Mutator(bytes, chance)
  const checker = new Checker(bytes)
  const result = { runs: 0, whole: 0, refused: {}, bytes: 0, heap: [], failure: undefined }
  const progress = { done: 0, end: start }
  const cuts = []
  const runs = Math.ceil((count - first) / step)
  const every = Math.max(1, Math.floor(runs / samples))
  const until = performance.now() + minutes * 60_000
  const limit = Error.stackTraceLimit
  // The stack of each refusal would take most of the time.
  Error.stackTraceLimit = 0
  try {
    for (let index = first; index < count; index += step) {
      chance.begin(seed, index)
      mutator.make()
      const { end, asked } = mutator
      cut(cuts, chance, end)
      progress.done = result.runs
      progress.end = end
      watch(progress)
      const wrong = checker.check(end, asked, cuts)
      result.runs++
      result.bytes += end - start
      if (wrong !== undefined) {
        result.failure = describe(wrong, bytes, end, asked, cuts, index)
        break
      }
      if (checker.whole) result.whole++
      else if (checker.code !== undefined)
        result.refused[checker.code] = (result.refused[checker.code] ?? 0) + 1
      if (result.runs % every === 0) result.heap.push(heapInUse())
      if (result.runs % 1_024 === 0 && performance.now() > until) break
    }
  } finally {
    Error.stackTraceLimit = limit
  }
  result.failure ??= leak(result.heap)
  return result
}

/** Checks one stream, cut at each byte and byte by byte. */
export function checkOne(input, asked) {
  const bytes = Buffer.alloc(start + most + 64)
  input.copy(bytes, start)
  const end = start + input.length
  const checker = new Checker(bytes)
  const places = Array.from(input, (_, at) => start + at + 1)
  for (const cuts of [places, ...places.map((place) => [place])]) {
    const wrong = checker.check(end, asked, cuts)
    if (wrong !== undefined) return { wrong, cuts: cuts.map((place) => place - start) }
  }
  return { wrong: undefined, code: checker.code, whole: checker.whole }
}

/** Up to four places, or every byte of a short stream. */
function cut(cuts, chance, end) {
  const size = end - start
  cuts.length = 0
  if (size < 400 && chance.below(8) === 0) {
    for (let at = start + 1; at < end; at++) cuts.push(at)
    return
  }
  for (let i = 1 + chance.below(4); i > 0 && size > 0; i--) cuts.push(start + chance.below(size))
  cuts.sort(ascending)
}

function ascending(a, b) {
  return a - b
}

function describe(wrong, bytes, end, asked, cuts, index) {
  const input = Buffer.from(bytes.subarray(start, end)).toString('base64')
  return { wrong, run: index, asked, cuts: cuts.map((at) => at - start), input }
}

/** Told when what is in use has grown from the first half of the samples to the second. */
function leak(heap) {
  // The first ones still hold what was compiled for the first time.
  const settled = heap.slice(Math.ceil(heap.length / 4))
  const middle = Math.floor(settled.length / 2)
  const before = Math.min(...settled.slice(0, middle))
  const after = Math.min(...settled.slice(middle))
  if (!(after - before > growthAtMost)) return undefined
  return { wrong: `the heap has grown by ${after - before} bytes: ${heap.join(', ')}` }
}

let collect = globalThis.gc

function heapInUse() {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc')
  }
  collect()
  return process.memoryUsage().heapUsed
}
