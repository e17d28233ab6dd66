import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { variants } from './numbered-proxy.mjs'

/** Runs side by side. */
const together = 32
/** Bytes that the heap may be larger at the end than it was in between. */
const growthAtMost = 4 * 1024 * 1024

/** What can be sent mutated; each is started by the seed. */
export const surfaces = {
  requests: async (options) => (await import('./requests-surface.mjs')).requestsSurface(options),
  responses: async (options) => (await import('./responses-surface.mjs')).responsesSurface(options),
  frames: async (options) => (await import('./frames-surface.mjs')).framesSurface(options),
}

/**
 * Sends the mutated messages of one surface whose batches are `first`, `first + step`, and so on, until `count` of them or the time is over.
 * @param {object} options
 * @param {string} options.surface one of {@link surfaces}
 * @param {number} options.seed
 * @param {number} [options.count]
 * @param {number} [options.minutes]
 * @param {number} [options.first]
 * @param {number} [options.step]
 * @param {Buffer} [options.input] one message alone, in place of the seed's
 * @param [options.front] makes what is tested, in place of `numberedProxy`
 * @param {(done: number, first: number) => void} [options.watch] told before each batch how many are done, and its first
 * @returns {Promise<{ runs: number, taken: number, answered: Record<number, number>, heap: number[],
 *   failure?: { wrong: string, inputs: { index: number, input: string }[], runs: number[] } }>}
 */
export async function runSurface({
  surface,
  seed,
  count = Number.POSITIVE_INFINITY,
  minutes = Number.POSITIVE_INFINITY,
  first = 0,
  step = 1,
  input,
  front,
  watch = () => {},
}) {
  const until = performance.now() + minutes * 60_000
  const faults = []
  const note = (fault) => faults.push(fault)
  const noteLeak = (warning) => {
    if (warning.name === 'MaxListenersExceededWarning') faults.push(warning)
  }
  process.on('unhandledRejection', note).on('uncaughtException', note).on('warning', noteLeak)
  const result = { runs: 0, taken: 0, answered: { 2: 0, 4: 0, 5: 0 }, heap: [], failure: undefined }
  const running = await surfaces[surface]({ seed, variant: first % variants.length, front })
  let sampled = performance.now()
  try {
    for (let batch = first; batch * together < count && performance.now() < until; batch += step) {
      const size = Math.min(together, count - batch * together)
      const indices = Array.from({ length: size }, (_, i) => batch * together + i)
      watch(result.runs, indices[0])
      const done = await running.batch(indices, input)
      result.runs += size
      if (done.failure === undefined && faults.length > 0)
        done.failure = { wrong: `unhandled: ${faults[0]?.stack ?? faults[0]}`, inputs: [] }
      if (done.failure !== undefined) {
        result.failure = { ...done.failure, runs: [indices[0], indices.at(-1)] }
        break
      }
      result.taken += done.taken
      for (const digit in result.answered) result.answered[digit] += done.answered[digit] ?? 0
      if (performance.now() - sampled < 1_000) continue
      await running.renew?.()
      result.heap.push(await heapInUse())
      sampled = performance.now()
    }
  } finally {
    await running.close()
    process.off('unhandledRejection', note).off('uncaughtException', note).off('warning', noteLeak)
  }
  result.failure ??= leak(result.heap)
  return result
}

/** Told when what is in use has grown from the middle of the samples to their end: the first ones hold what is made once. */
function leak(heap) {
  if (heap.length < 16) return undefined
  const settled = heap.slice(heap.length >> 1)
  const middle = settled.length >> 1
  const before = Math.min(...settled.slice(0, middle))
  const after = Math.min(...settled.slice(middle))
  if (after - before <= growthAtMost) return undefined
  return { wrong: `the heap has grown by ${after - before} bytes: ${heap.join(', ')}`, inputs: [], runs: [] }
}

let collect = globalThis.gc

async function heapInUse() {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc')
  }
  // What is finalised gives up what it holds one turn later.
  for (let i = 0; i < 2; i++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}
