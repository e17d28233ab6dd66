import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

/** How long anything may take, in ms. Only what hangs takes it. */
export const patience = 45_000

/** A connection that keeps what it gets, and never throws. */
export class FuzzClient {
  #chunks = []
  over = false

  /** @param {number} index of its run */
  constructor(index, socket) {
    this.index = index
    this.socket = socket
    const over = () => {
      this.over = true
    }
    socket.on('data', (chunk) => this.#chunks.push(chunk))
    socket.on('end', over).on('error', over).on('close', over)
    this.closed = new Promise((resolve) => socket.once('close', resolve))
  }

  static async open(index, port) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    const client = new FuzzClient(index, socket)
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
    client.port = socket.localPort
    return client
  }

  get received() {
    return Buffer.concat(this.#chunks)
  }

  /** Writes in pieces that end at `cuts`, in a turn each. */
  async write(bytes, cuts) {
    let from = 0
    for (const stop of [...cuts, bytes.length]) {
      if (stop <= from || this.socket.destroyed || !this.socket.writable) continue
      this.socket.write(bytes.subarray(from, stop))
      from = stop
      await turn()
    }
  }

  end() {
    if (this.socket.writable) this.socket.end()
  }

  reset() {
    this.socket.resetAndDestroy()
  }
}

/** Up to three places in `size` bytes, in order. */
export function cutsOf(chance, size) {
  const cuts = Array.from({ length: chance.below(4) }, () => (size > 0 ? chance.below(size) : 0))
  return cuts.sort((one, other) => one - other)
}

/** Whether it comes in time. */
export async function inTime(promise, ms = patience) {
  let timer
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const first = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return first
}

/** An ordinary request of a run of its own. What is wrong with its answer, or undefined. */
export async function ordinary(port, path, expected) {
  const client = await FuzzClient.open(-1, port)
  const end = () => client.end()
  client.socket.once('end', end).on('data', () => {
    if (client.received.toString('latin1').endsWith(expected)) end()
  })
  client.socket.write(`GET ${path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n`)
  const came = await inTime(client.closed)
  client.socket.destroy()
  const text = client.received.toString('latin1')
  if (!came) return `an ordinary request is not answered: ${JSON.stringify(text.slice(0, 200))}`
  if (text.startsWith('HTTP/1.1 200 ') && text.endsWith(expected)) return undefined
  return `an ordinary request got ${JSON.stringify(text.slice(0, 400))}`
}
