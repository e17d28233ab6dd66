// Holds the certificates of many names in a process of its own, and says what that takes. Arguments: a file with a line of JSON for each pair, and
// how they come: 'pairs' in a list, which is then let go of, or from a 'provider' that reads a pair when it is asked.
import { readFileSync } from 'node:fs'
import { certificates } from '@sluice/tls'

const [, , file, how] = process.argv

/** What a name is looked up in, on average, in µs of CPU. */
function lookups(store, names) {
  const rounds = Math.ceil(200_000 / names.length)
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) for (const name of names) void store.context(name)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / (rounds * names.length)
}

const text = readFileSync(file)
/** Where each line begins: what a provider has to know of its names. */
const places = new Map()
for (let at = 0; at < text.length; at = text.indexOf('\n', at) + 1)
  places.set(`host${String(places.size).padStart(6, '0')}.example.com`, at)
const names = [...places.keys()]
const pairAt = (at) => JSON.parse(text.toString('latin1', at, text.indexOf('\n', at)))

globalThis.gc()
const before = process.memoryUsage().rss
const start = process.cpuUsage()
const source =
  how === 'pairs'
    ? Array.from(names, (name) => pairAt(places.get(name)))
    : { get: (name) => (places.has(name) ? pairAt(places.get(name)) : undefined) }
const store = certificates(source)
const { user, system } = process.cpuUsage(start)
if (how === 'pairs') source.length = 0
globalThis.gc()
const loaded = process.memoryUsage().rss - before

// Every name has been asked for, so that as many contexts as may be are there, and thousands have been let go of.
for (const name of names) void store.context(name)
globalThis.gc()
const served = process.memoryUsage().rss - before

const hot = names.slice(-300)
const told = {
  names: names.length,
  loadMs: (user + system) / 1_000,
  loadedMB: loaded / 1e6,
  servedMB: served / 1e6,
  lookupUs: lookups(store, hot),
  unknownUs: lookups(
    store,
    hot.map((name) => `x.${name}`),
  ),
}
process.send(told, () => process.disconnect())
