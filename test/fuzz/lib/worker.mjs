import { parentPort, workerData } from 'node:worker_threads'
import { fuzz } from './fuzz.mjs'

const { progress, ...options } = workerData

parentPort?.postMessage(
  fuzz({
    ...options,
    watch: ({ done, end }) => {
      progress[1] = end
      progress[0] = done
    },
  }),
)
