// Where a .cpuprofile says that the time went: `node summarise-profile.mjs FILE [LINES]`. Self time, without callees.
import { readFileSync } from 'node:fs'

const [file, lines = '30'] = process.argv.slice(2)
if (file === undefined) {
  console.error('usage: node summarise-profile.mjs FILE [LINES]')
  process.exit(2)
}

const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'))
const named = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
const times = new Map()
samples.forEach((id, i) => {
  const name = named.get(id)
  times.set(name, (times.get(name) ?? 0) + timeDeltas[i])
})
times.delete('(idle)')
times.delete('(root)')

const busy = [...times.values()].reduce((sum, time) => sum + time, 0)
const top = [...times].sort((a, b) => b[1] - a[1]).slice(0, Number(lines))
console.log(`${(busy / 1e6).toFixed(2)} s of running, by self time:`)
for (const [name, time] of top) {
  console.log(
    `${((time / busy) * 100).toFixed(1).padStart(5)}%  ${(time / 1000).toFixed(0).padStart(6)} ms  ${name}`,
  )
}

/** Function, file and line; the packages' files from the last `node_modules` or `packages` on. */
function nameOf({ functionName, url, lineNumber }) {
  const name = functionName === '' ? '(anonymous)' : functionName
  const place = url.replace(/^.*\/(?=(node_modules|packages|test)\/)/, '')
  return place === '' ? name : `${name}  ${place}:${lineNumber + 1}`
}
