// A flood: `flood.mjs ADDRESS SETTINGS`, the settings as JSON with `connections`, `times` and `seconds`, and `capacity` where that is known: answers a second. Else it first finds out
// how many there are at most. Then it asks for a quarter of that, which keeps nobody waiting, and then for many times as much, by the clock and not by when answers come. Each connection has one
// request under way; where all have, the one that is due is not sent, and counted. It prints a line of JSON when the flood begins, and one at its end.
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { figuresOf } from '../lib/latencies.mjs'

const [address, told] = process.argv.slice(2)
const { connections, times, seconds, capacity: known } = JSON.parse(told)
const { hostname, port } = new URL(address)
const request = `GET / HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`
/** Connections that keep a proxy busy, and cost it nothing by their number. */
const toSaturate = 100
const settle = 500
/** Ms at the begin of the flood that are told by themselves. */
const first = 1000
/** Ms for all connections to be there. */
const patience = 5000

let counts
let answered = () => {}
const free = []

/** @param onset ms at the begin that count by themselves */
function begin(onset = 0) {
  const now = performance.now()
  counts = {
    began: now,
    last: now,
    until: now + onset,
    onset: [],
    latencies: [],
    refused: 0,
    broken: 0,
    unsent: 0,
  }
}

/** A connection that comes back by itself. */
class Client {
  #text = ''
  #sent = 0
  #socket

  constructor() {
    this.#open()
  }

  ask() {
    this.#sent = performance.now()
    this.#socket.write(request)
  }

  #open() {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.on('connect', () => free.push(this))
    socket.on('data', (text) => this.#read(text))
    socket.on('error', () => {})
    socket.on('close', () => {
      const at = free.indexOf(this)
      if (at >= 0) free.splice(at, 1)
      if (this.#sent > 0) counts.broken++
      this.#sent = 0
      this.#text = ''
      setTimeout(() => this.#open(), 100).unref()
    })
  }

  #read(text) {
    this.#text += text
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#text.slice(0, end)
    const [, length] = /^content-length: (\d+)/im.exec(head) ?? []
    const whole =
      length === undefined ? this.#text.endsWith('0\r\n\r\n') : this.#text.length >= end + 4 + +length
    if (!whole) return
    counts.last = performance.now()
    const took = counts.last - this.#sent
    const isOnset = this.#sent < counts.until
    this.#sent = 0
    this.#text = ''
    if (head.startsWith('HTTP/1.1 200')) counts[isOnset ? 'onset' : 'latencies'].push(took)
    else counts.refused++
    free.push(this)
    answered()
  }
}

/** As fast as answers come, over some of the connections. */
async function saturate(ms) {
  begin()
  const began = performance.now()
  answered = () => performance.now() - began < ms && free.pop()?.ask()
  for (let i = 0; i < toSaturate; i++) free.pop()?.ask()
  await delay(ms + settle)
  answered = () => {}
  return ((counts.onset.length + counts.latencies.length) / (counts.last - began)) * 1000
}

/**
 * So many a second, whatever becomes of them.
 * @param next the connection to ask over, if one is free
 * @param onset ms at the begin that count by themselves
 */
async function pace(perSecond, ms, next, onset = 0) {
  begin(onset)
  const began = performance.now()
  const cpuBefore = process.cpuUsage()
  let sent = 0
  for (let now = began; now - began < ms; now = performance.now()) {
    for (const due = ((now - began) * perSecond) / 1000; sent < due; sent++) {
      const client = next()
      if (client === undefined) counts.unsent++
      else client.ask()
    }
    await delay(1)
  }
  const took = performance.now() - began
  const { user, system } = process.cpuUsage(cpuBefore)
  const { latencies, refused, broken, unsent } = counts
  const busy = (user + system) / 1000 / took
  const begins = figuresOf(counts.onset, Math.max(onset, 1), 0)
  const figures = figuresOf(latencies, took - onset, broken)
  return {
    ...figures,
    letIn: begins.requests + figures.requests,
    begins,
    refused,
    unsent,
    asked: sent,
    took,
    busy,
  }
}

let made = 0
/** Opens more connections, until there are so many. */
async function connected(count) {
  for (; made < count; made++) new Client()
  const began = performance.now()
  // One that has rested for long may be about to come back.
  while (free.length < count * 0.98) {
    if (performance.now() - began > patience)
      throw new Error(`${free.length} of ${count} connections are there`)
    await delay(10)
  }
}

begin()
await connected(toSaturate)
await saturate(known === undefined ? 1500 : 500)
const capacity = known ?? (await saturate(2500))
// Over those that were used last: a connection that rests is closed, and to open one costs the server more than a request.
const idle = await pace(capacity / 4, 2500, () => free.pop())
await delay(settle)
await connected(connections)
console.log(JSON.stringify({ flood: 'begins' }))
const flood = await pace(capacity * times, seconds * 1000, () => free.shift(), first)
console.log(JSON.stringify({ capacity, idle, flood }))
process.exit()
