// A proxy on a hardened server before an origin, in a process of its own. Arguments: options of `harden` as JSON, and the port of the origin,
// else it starts one. Told `'stats'` it says what it has refused, and how many connections it has.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { harden, serverOptions } from '@sluice/guard'
import { createProxy } from 'sluice'

const told = (error) => process.send({ fault: String(error?.stack ?? error) })
process.on('uncaughtException', told).on('unhandledRejection', told)

const options = JSON.parse(process.argv[2] ?? '{}')
const originPort = process.argv[3] ?? (await startOrigin())

/** In a process of its own: it has work with each client, and must not be measured here. */
async function startOrigin() {
  const origin = fork(fileURLToPath(new URL('slow-clients-origin.mjs', import.meta.url)), { execArgv: [] })
  const [{ port }] = await once(origin, 'message')
  return port
}

// Each slow client holds a connection to its target as well: with a limit of them, others would wait for one.
const proxy = createProxy({
  guard: { bodyBuffer: '16kb' },
  upstreams: { site: { targets: [`http://127.0.0.1:${originPort}`], connections: 0 } },
})
const { slow: _, ...limits } = options
const server = createServer(serverOptions(limits))
proxy.attach(server)
const { refused } = harden(server, options)

// How long connections lasted that asked once at most, which those of an attack do: the time of a look is in it.
let longest = 0
const asked = new WeakMap()
server.on('request', ({ socket }) => asked.set(socket, (asked.get(socket) ?? 0) + 1))
server.on('connection', (socket) => {
  const since = performance.now()
  socket.once('close', () => {
    if ((asked.get(socket) ?? 0) < 2) longest = Math.max(longest, performance.now() - since)
  })
})
await new Promise((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 }, resolve))

process.on('message', () => {
  server.getConnections((_error, connections) => {
    process.send({
      stats: { refused, connections, longest, rss: process.memoryUsage().rss, cpu: process.cpuUsage() },
    })
  })
})
process.on('disconnect', () => process.exit())
process.send({ port: server.address().port })
