// Messages over open WebSocket connections: `websocket.mjs ADDRESS SCENARIO`, the scenario as JSON with `connections` and
// `seconds`. Each connection sends a message, waits for its echo and sends the next. The handshakes are in
// the proxy's CPU time too: one a connection, which vanishes beside thousands of messages.
import { WebSocket } from 'ws'
import { figuresOf } from '../lib/latencies.mjs'
import { bodyOf } from '../lib/scenarios.mjs'

const [address, told] = process.argv.slice(2)
const { up, connections, seconds } = JSON.parse(told)
const message = bodyOf(up)
const latencies = []
let errors = 0
let until = Number.POSITIVE_INFINITY

function open() {
  return new Promise((resolve) => {
    const socket = new WebSocket(address, { perMessageDeflate: false, handshakeTimeout: 5000 })
    socket.on('open', () => resolve(socket))
    socket.on('error', () => {
      errors++
      resolve()
    })
  })
}

/** Sends and waits, until the time is over. */
function exchange(socket) {
  return new Promise((resolve) => {
    let sent = performance.now()
    socket.on('message', (data) => {
      const now = performance.now()
      latencies.push(now - sent)
      if (data.toString('latin1') !== message) errors++
      if (now >= until) return socket.close()
      sent = now
      socket.send(message)
    })
    socket.on('close', () => {
      // Cut before its time.
      if (performance.now() < until) errors++
      resolve()
    })
    socket.send(message)
  })
}

const opened = await Promise.all(Array.from({ length: connections }, open))
const sockets = opened.filter((socket) => socket !== undefined)
const began = performance.now()
until = began + seconds * 1000
// An echo that never comes must not keep this process.
const late = setTimeout(
  () => {
    for (const socket of sockets) socket.terminate()
    errors++
  },
  seconds * 1000 + 5000,
)
await Promise.all(sockets.map(exchange))
clearTimeout(late)
console.log(JSON.stringify(figuresOf(latencies, performance.now() - began, errors)))
