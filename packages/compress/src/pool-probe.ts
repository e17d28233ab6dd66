import { randomFill } from 'node:crypto'
import { Pressure } from './pressure.js'

const byte = new Uint8Array(1)

/**
 * Has a thread of Node's pool make one random byte, and tells how many milliseconds that took: they are what a job waits before a thread
 * takes it, since the byte takes none. Time in which this thread was busy counts too, as the client of a coded body waits for both.
 */
export function poolProbe(told: (waited: number) => void): void {
  const asked = performance.now()
  randomFill(byte, () => told(performance.now() - asked))
}

/** The pressure on this process's thread pool. All that codes shares it. */
export const poolPressure: Pressure = new Pressure(poolProbe)
