import { Worker } from 'node:worker_threads'

/** How often the main thread looks, in ms. */
const often = 5_000

/**
 * Shares what there is to do among threads, and watches them: what hangs or dies can't say so itself.
 * @param {object} options
 * @param {URL} options.script what they run: it posts one result, and tells in `workerData.progress` how much it has done and what it does
 * @param {number} options.workers
 * @param {object} options.data for all of them, beside `first`, `step` and `progress`
 * @param {number} options.hangs ms after which one that gets no further counts as hanging
 * @param {(progress: Int32Array, data: object) => object} options.hung what one that hangs would have posted
 * @param {(data: object) => void} [options.own] adds to the data of each
 * @param {(done: number, seconds: number) => void} options.tell hears now and then how far they are
 */
export async function crew({ script, workers, data, hangs, hung, own = () => {}, tell }) {
  const began = performance.now()
  const members = Array.from({ length: workers }, (_, first) => {
    const mine = { ...data, first, step: workers, progress: new Int32Array(new SharedArrayBuffer(8)) }
    own(mine)
    return member(script, mine, hangs, hung)
  })
  const clock = setInterval(() => {
    tell(
      members.reduce((sum, { done }) => sum + done(), 0),
      (performance.now() - began) / 1_000,
    )
    for (const { look } of members) look()
  }, often)
  try {
    const results = await Promise.all(members.map(({ result }) => result))
    return { results, seconds: (performance.now() - began) / 1_000 }
  } finally {
    clearInterval(clock)
    for (const { worker } of members) await worker.terminate()
  }
}

function member(script, data, hangs, hung) {
  const { progress } = data
  const worker = new Worker(script, { workerData: data })
  let seen = -1
  let since = performance.now()
  let look
  const result = new Promise((resolve) => {
    const died = (wrong) =>
      resolve({ ...hung(progress, data), failure: { wrong, runs: [progress[1]], inputs: [] } })
    worker.on('message', resolve)
    worker.on('error', (error) => died(`it has died: ${error?.stack ?? error}`))
    worker.on('exit', (code) => died(`it has ended with ${code}`))
    look = () => {
      const now = performance.now()
      if (progress[0] !== seen) {
        seen = progress[0]
        since = now
      } else if (now - since > hangs) {
        resolve(hung(progress, data))
      }
    }
  })
  return { worker, result, look: () => look(), done: () => progress[0] }
}
