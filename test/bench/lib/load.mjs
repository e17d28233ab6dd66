// The load: who makes it for a scenario. A generator asks an address again and again, on so many connections, for so many
// seconds, and tells `requests` answered, answers `perSecond`, `p99` in ms (null where it doesn't know), and `errors`; of
// answers that come slowly `firstByte`, too: the median of ms until the first byte of the content.
import { h2load } from './h2load.mjs'
import { ownLoad, resumedLoad, slowLoad, webSocketLoad } from './own-load.mjs'
import { which } from './which.mjs'
import { wrk } from './wrk.mjs'

/**
 * @returns `{ name, run(address, scenario, settings) }`
 * @throws Error if nothing here can make this load
 */
export function generatorFor({ front, pause, resumed }) {
  if (resumed) return { name: 'a generator of our own', run: resumedLoad }
  if (pause > 0) return { name: 'a generator of our own', run: slowLoad }
  if (front === 'websocket') return { name: 'a generator of our own', run: webSocketLoad }
  if (front === 'h2') {
    if (which('h2load') === undefined) throw new Error("h2load isn't installed")
    return { name: 'h2load', run: h2load }
  }
  if (which('wrk') !== undefined) return { name: 'wrk', run: wrk }
  return { name: 'a generator of our own (wrk is missing)', run: ownLoad }
}
