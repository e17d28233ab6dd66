// One measurement, and all of them in turn.
import { performance } from 'node:perf_hooks'
import { addressOf } from './addresses.mjs'
import { coreMicroseconds, cpuMicroseconds, residentBytes } from './usage.mjs'

/**
 * Puts load on one contender.
 * @param server `{ port, pid }`, and the scenario as it is `asked`
 * @returns CPU microseconds a request, requests a second, p99 in ms, ms to the first byte where that is the question, memory in
 *   bytes, errors; the share of the time that
 *   it was running, and that others took of its core
 */
async function measure({ port, pid, asked: scenario }, settings) {
  const { core, load } = settings
  const used = () => (core === undefined ? 0 : coreMicroseconds(core))
  const usedBefore = used()
  const before = cpuMicroseconds(pid)
  const began = performance.now()
  const { requests, perSecond, p99, errors, firstByte } = await load(
    addressOf(scenario, port),
    scenario,
    settings,
  )
  const took = (performance.now() - began) * 1000
  const cpu = cpuMicroseconds(pid) - before
  const others = core === undefined ? 0 : Math.max(0, used() - usedBefore - cpu)
  if (requests === 0) throw new Error('answered no request')
  const shares = { busy: cpu / took, others: others / took }
  return {
    microseconds: cpu / requests,
    perSecond,
    p99,
    firstByte,
    rss: residentBytes(pid),
    errors,
    ...shares,
  }
}

/** Seconds. What V8 makes of a hot path is there after one or two; until then the proxy is another program. */
const warmUp = 3

/**
 * Warms each server up, then measures all of them in turn, round after round: A B C A B C. So a machine that changes its
 * pace meets all of them alike. One that breaks down is left out, with a line that says why.
 * @param servers `name: { port, pid }`
 * @param settings the `scenario` and the `load` that asks for it (lib/load.mjs), `rounds`, `seconds`, `connections`, the
 *   `core` that they are pinned to, an abort `signal`, and `say`, which gets a line for each measurement
 * @returns `name: measurements`, one a round
 */
export async function measureInTurn(servers, settings) {
  const { rounds, say, signal } = settings
  const measured = Object.fromEntries(Object.keys(servers).map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const name of Object.keys(measured)) {
      const seconds = round === 0 ? warmUp : settings.seconds
      try {
        const result = await measure(servers[name], { ...settings, seconds })
        if (round > 0) measured[name].push(result)
        const when = round === 0 ? 'warm-up' : `round ${round}/${rounds}`
        say(`${when}  ${name}: ${told(result, settings.scenario)}`)
      } catch (error) {
        signal.throwIfAborted()
        say(`${name} is left out: ${error.message}`)
        delete measured[name]
      }
    }
  }
  return measured
}

function told({ microseconds, errors }, { unit }) {
  return `${microseconds.toFixed(1)} µs/${unit}${errors === 0 ? '' : `, ${errors} errors`}`
}
