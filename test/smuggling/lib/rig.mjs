import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { undiciTransport } from '@sluice/forward'
import { httpProxyTransport } from '@sluice/http-proxy'
import { createProxy } from 'sluice'
import { strictOrigin } from '../../fuzz/lib/strict-origin.mjs'
import { readResponses } from '../../fuzz/lib/strict-responses.mjs'

/** The transports of HTTP/1.1, by name; wire is the proxy's own. */
export const transports = {
  wire: () => undefined,
  undici: () => undiciTransport(),
  'http-proxy': () => httpProxyTransport(),
}

/** How long anything may take, in ms. Only a proxy that hangs takes it. */
const patience = 10_000

/** A proxy as it comes in front of a strict target, and what came of requests that are sent to it. */
export async function rig(name) {
  const origin = await strictOrigin()
  const transport = transports[name]()
  let exchanges = 0
  const targets = [origin.url]
  const proxy = createProxy({
    upstreams: { all: { targets, retry: false, ejection: false, ...(transport && { transport }) } },
    // What arrives without a number is no request of the proxy's.
    onRequest: (ctx) => {
      const list = ctx.out.headers.filter((_each, i, all) => all[i & ~1].toLowerCase() !== 'x-exchange')
      ctx.out.headers.splice(0, ctx.out.headers.length, ...list, 'X-Exchange', String(++exchanges))
    },
  })
  const { port } = await proxy.listen()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    /** Sends bytes over a connection of their own. */
    async send(bytes) {
      origin.forget()
      const client = await open(port)
      client.socket.write(bytes)
      // When a request that was sent later has been answered, twice, then this one has got as far as it gets.
      for (let i = 0; i < 2 && !client.over; i++) await sentinel(port, agent)
      client.socket.end()
      const hangs = !(await before(client.closed))
      client.socket.destroy()
      return { ...(await arrived(origin)), hangs, ...answers(client.received, bytes) }
    },
    async close() {
      agent.destroy()
      await proxy.close({ drain: 0 })
      await transport?.close(true)
      await origin.close()
    },
  }
}

/** A connection that keeps what it gets. */
async function open(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  const chunks = []
  const client = {
    socket,
    over: false,
    get received() {
      return Buffer.concat(chunks)
    },
    closed: new Promise((resolve) => socket.once('close', resolve)),
  }
  socket.on('data', (chunk) => chunks.push(chunk))
  const over = () => {
    client.over = true
  }
  socket.on('end', over).on('close', over).on('error', over)
  await new Promise((resolve) => socket.once('connect', resolve))
  return client
}

/** An ordinary request, over a connection that is kept. */
function sentinel(port, agent) {
  return new Promise((resolve, reject) => {
    const req = request({ port, host: '127.0.0.1', path: '/sentinel', agent }, (res) => {
      res.resume().on('end', resolve)
      if (res.statusCode !== 200) reject(new Error(`an ordinary request got ${res.statusCode}`))
    })
    req.on('error', reject).end()
  })
}

/** What the target has of it, and what is wrong with that. */
async function arrived(origin) {
  const whole = []
  let part = false
  let fault
  const seen = new Set()
  for (const { reader, socket } of origin.connections) {
    fault ??= reader.fault
    for (const each of reader.requests) {
      const numbers = each.fields.filter((_field, i, all) => i % 2 === 1 && all[i - 1] === 'x-exchange')
      if (numbers.length !== 1 || seen.has(numbers[0]))
        fault ??= `a request that the proxy didn't mean: ${each.method} ${each.target}`
      seen.add(numbers[0])
      if (each.target !== '/sentinel') whole.push(each)
    }
    if (reader.rest.length === 0) continue
    part = true
    const cut = socket.destroyed || (await before(new Promise((resolve) => socket.once('close', resolve))))
    if (!cut) fault ??= 'part of a request on a connection that is kept'
  }
  return { whole, part, fault }
}

function answers(received, sent) {
  const how = { ended: true, heads: sent.includes('HEAD '), connect: sent.includes('CONNECT ') }
  const { responses, rest, fault } = readResponses(received, how)
  const statuses = responses.filter(({ status }) => status >= 200).map(({ status }) => status)
  return { statuses, answerFault: fault ?? (rest > 0 ? 'a response that was cut' : undefined) }
}

/** Whether it comes in time. */
async function before(promise) {
  let timer
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(), patience)
  })
  const first = await Promise.race([promise.then(() => true), late.then(() => false)])
  clearTimeout(timer)
  return first
}
