// A load generator for where wrk is missing: `node.mjs URL CONNECTIONS SECONDS`. It costs more than the proxies that it
// asks, so the proxy's core isn't kept busy and req/s says little; CPU a request still holds.
import { Agent, get } from 'node:http'

const [url, connections, seconds] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
const agent = new Agent({ keepAlive: true, maxSockets: connections })
const began = performance.now()
const until = began + seconds * 1000
const latencies = []
let errors = 0

function ask() {
  const now = performance.now()
  if (now >= until) return Promise.resolve()
  return new Promise((resolve) => {
    get(url, { agent, timeout: 5000 }, (res) => {
      if (res.statusCode !== 200) errors++
      res.resume().on('error', () => errors++)
      res.on('end', () => latencies.push(performance.now() - now)).on('close', resolve)
    })
      .on('timeout', function onTimeout() {
        this.destroy()
      })
      .on('error', () => {
        errors++
        resolve()
      })
  }).then(ask)
}

await Promise.all(Array.from({ length: connections }, ask))
agent.destroy()
const took = (performance.now() - began) / 1000
latencies.sort((a, b) => a - b)
const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? null
console.log(JSON.stringify({ requests: latencies.length, perSecond: latencies.length / took, p99, errors }))
