// A load generator for new TLS connections that resume sessions: `resumed.mjs ADDRESS SCENARIO`, the scenario as JSON with
// `connections` and `seconds`. The newest ticket is used: not every connection that resumes a session brings another one.
import { performance } from 'node:perf_hooks'
import { connect } from 'node:tls'
import { figuresOf } from '../lib/latencies.mjs'

const [address, told] = process.argv.slice(2)
const { status, connections, seconds } = JSON.parse(told)
const { hostname: host, port } = new URL(address)
const request = `GET / HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`
const began = performance.now()
const until = began + seconds * 1000
const latencies = []
const sessions = []
let errors = 0

function ask(first) {
  const now = performance.now()
  if (now >= until) return Promise.resolve()
  return new Promise((resolve) => {
    const session = sessions.pop()
    const socket = connect({ host, port, session, servername: 'localhost', rejectUnauthorized: false })
    let head = ''
    let fresh
    socket.setTimeout(5000, () => socket.destroy(new Error('answers nothing')))
    socket
      .on('session', (ticket) => {
        fresh = ticket
      })
      .on('secureConnect', () => {
        // The first of each line has none to resume.
        if (!first && !socket.isSessionReused()) errors++
        socket.write(request)
      })
      .on('data', (chunk) => {
        if (head.length < 12) head += chunk.toString('latin1')
      })
      .on('error', () => errors++)
      .on('close', () => {
        const next = fresh ?? session
        if (next !== undefined) sessions.push(next)
        if (head.slice(9, 12) === String(status)) latencies.push(performance.now() - now)
        else errors++
        resolve()
      })
  }).then(() => ask(false))
}

await Promise.all(Array.from({ length: connections }, () => ask(true)))
console.log(JSON.stringify(figuresOf(latencies, performance.now() - began, errors)))
