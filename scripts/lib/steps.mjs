// Named steps in a row, each with its time, up to the first that fails.
import { interruptCode } from './run.mjs'

/**
 * Runs one step and prints a line with its time; of a step that fails also what it said. Returns the exit code.
 * @param {string} name
 * @param {() => Promise<{ code: number, output?: string }>} work
 */
export async function step(name, work) {
  const start = performance.now()
  const { code, output = '' } = await work()
  if (interruptCode() !== undefined) return interruptCode()
  if (code === 0) {
    console.log(`${name.padEnd(12)} ${((performance.now() - start) / 1000).toFixed(1)} s`)
  } else {
    if (output !== '') console.error(output)
    console.error(`${name} failed`)
  }
  return code
}

/** Runs `[name, work]` pairs in order and stops at the first that fails. Returns the exit code. */
export async function inOrder(steps) {
  for (const [name, work] of steps) {
    const code = await step(name, work)
    if (code !== 0) return code
  }
  return 0
}
