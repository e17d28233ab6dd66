// Load for answers that come slowly: `slow.mjs ADDRESS SCENARIO`, the scenario as JSON with `connections` and `seconds`. What it tells
// beside the usual is when the first byte of the content is there: the head of a coding is none.
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createGunzip } from 'node:zlib'
import { figuresOf } from '../lib/latencies.mjs'
import { spread } from '../lib/statistics.mjs'

const [address, told] = process.argv.slice(2)
const { fields, status, connections, seconds } = JSON.parse(told)
const agent = new Agent({ keepAlive: true, maxSockets: connections })
const began = performance.now()
const until = began + seconds * 1000
const latencies = []
const first = []
let errors = 0

async function ask() {
  while (performance.now() < until) {
    const now = performance.now()
    try {
      const req = request(address, { headers: fields, agent, timeout: 5000 }).end()
      req.on('timeout', () => req.destroy())
      const [res] = await once(req, 'response')
      if (res.statusCode !== status) errors++
      const content = res.headers['content-encoding'] === 'gzip' ? res.pipe(createGunzip()) : res
      let isFirst = true
      for await (const _ of content) {
        if (isFirst) first.push(performance.now() - now)
        isFirst = false
      }
      latencies.push(performance.now() - now)
    } catch {
      errors++
    }
  }
}

await Promise.all(Array.from({ length: connections }, ask))
agent.destroy()
const figures = figuresOf(latencies, performance.now() - began, errors)
console.log(JSON.stringify({ ...figures, firstByte: spread(first).median }))
