import { parentPort, workerData } from 'node:worker_threads'
import { runSurface } from './surface-run.mjs'

const { progress, ...options } = workerData

parentPort?.postMessage(
  await runSurface({
    ...options,
    watch: (done, first) => {
      progress[1] = first
      progress[0] = done
    },
  }),
)
