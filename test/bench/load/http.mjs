// A load generator for where wrk is missing: `http.mjs ADDRESS SCENARIO`, the scenario as JSON with `connections` and
// `seconds`. It costs more than the proxies that it asks, so the proxy's core isn't kept busy and req/s says little; CPU a
// request still holds.
import { Agent, request } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { figuresOf } from '../lib/latencies.mjs'
import { bodyOf } from '../lib/scenarios.mjs'
import { runPrefix } from '../lib/wrk.mjs'

const [address, told] = process.argv.slice(2)
const { method, up, kept, front, status, fields, distinct, connections, seconds } = JSON.parse(told)
const secure = front === 'https'
// The certificate is the run's own, made a moment ago.
const agentOptions = { keepAlive: kept, maxSockets: connections, rejectUnauthorized: false }
const agent = secure ? new HttpsAgent(agentOptions) : new Agent(agentOptions)
const send = secure ? httpsRequest : request
const body = up > 0 ? Buffer.from(bodyOf(up), 'latin1') : undefined
const headers = up > 0 ? { ...fields, 'Content-Type': 'text/plain', 'Content-Length': up } : fields
const began = performance.now()
const until = began + seconds * 1000
const prefix = runPrefix()
const latencies = []
let asked = 0
let errors = 0

function ask() {
  const now = performance.now()
  if (now >= until) return Promise.resolve()
  return new Promise((resolve) => {
    send(
      distinct ? new URL(`${prefix}${++asked}`, address) : address,
      { method, headers, agent, timeout: 5000 },
      (res) => {
        if (res.statusCode !== status) errors++
        res.resume().on('error', () => errors++)
        res.on('end', () => latencies.push(performance.now() - now)).on('close', resolve)
      },
    )
      .on('timeout', function onTimeout() {
        this.destroy()
      })
      .on('error', () => {
        errors++
        resolve()
      })
      .end(body)
  }).then(ask)
}

await Promise.all(Array.from({ length: connections }, ask))
agent.destroy()
console.log(JSON.stringify(figuresOf(latencies, performance.now() - began, errors)))
