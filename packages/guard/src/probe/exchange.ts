import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ProbeStep, Seen } from './probe-case.js'
import { readAnswers } from './read-answers.js'

/** Where a connection goes. */
export interface Endpoint {
  readonly address: string
  readonly port: number
  readonly tls: boolean
  /** The name that a TLS server is asked for; undefined for an address. */
  readonly servername: string | undefined
}

/** How long a connection may take to be made, in ms: a server that has others to see to is slow, and no answer of its own. */
const connectTimeout = 10_000
/** More of an answer than this many bytes isn't read. */
const mostBytes = 1 << 20

/**
 * Writes the steps of a case on a connection of its own: the next one when the one before has its final answer, and none
 * once the connection is over.
 * @param timeout how long a step waits for its answer, in ms
 * @throws Error when the connection can't be made
 */
export async function exchange(to: Endpoint, steps: readonly ProbeStep[], timeout: number): Promise<Seen[]> {
  const wire = await Wire.open(to)
  try {
    const seen: Seen[] = []
    for (const step of steps) {
      if (wire.over) {
        seen.push({ answers: [], interim: [], end: 'closed' })
        break
      }
      seen.push(await wire.take(step, timeout))
    }
    return seen
  } finally {
    wire.leave()
  }
}

class Wire {
  readonly #socket: Socket
  readonly #bodiless: boolean[] = []
  #text = ''
  #over = false
  /** Final answers that were handed out. */
  #told = 0
  #changed: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      // What would never end is not waited for.
      if (this.#text.length < mostBytes) this.#text += bytes.toString('latin1')
      else socket.destroy()
      this.#changed()
    })
    const over = (): void => {
      this.#over = true
      this.#changed()
    }
    // A reset is a way to close, too: what was received before it counts.
    socket.on('error', over)
    socket.on('end', over)
    socket.on('close', over)
  }

  static open(to: Endpoint): Promise<Wire> {
    const { address: host, port, tls, servername } = to
    return new Promise((resolve, reject) => {
      const tcp = connectTcp({ host, port, noDelay: true, allowHalfOpen: true })
      const socket = tls
        ? connectTls({
            socket: tcp,
            // The server is one's own: what is looked at is what it does, not who it is.
            rejectUnauthorized: false,
            ALPNProtocols: ['http/1.1'],
            ...(servername !== undefined && { servername }),
          })
        : tcp
      const timer = setTimeout(() => socket.destroy(new Error('no connection in time')), connectTimeout)
      socket.once(tls ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer)
        socket.off('error', reject)
        resolve(new Wire(socket))
      })
      socket.once('error', reject)
      socket.once('error', () => clearTimeout(timer))
    })
  }

  /** Whether the server has closed. */
  get over(): boolean {
    return this.#over
  }

  async take(
    { bytes, bodiless = false, finish = false, last = false }: ProbeStep,
    timeout: number,
  ): Promise<Seen> {
    this.#bodiless.push(bodiless)
    this.#socket.write(Buffer.from(bytes, 'latin1'))
    if (finish) this.#socket.end()
    // Behind our end comes the server's, as where it is asked to close: what else it has to say comes before that.
    const inTime = await this.#until(
      () => this.#over || (!finish && !last && this.#unread().whole > 0),
      timeout,
    )
    const { answers, interim } = this.#unread()
    this.#told += answers.length
    return { answers, interim, end: this.#over ? 'closed' : inTime ? 'open' : 'silent' }
  }

  #unread(): { answers: Seen['answers']; interim: number[]; whole: number } {
    const all = readAnswers(this.#text, this.#over, (answer) => this.#bodiless[answer] === true)
    const finals = all.filter(({ status }) => status >= 200 || status === 101)
    const answers = finals.slice(this.#told)
    const interim = this.#told > 0 ? [] : all.filter(({ status }) => status < 200 && status !== 101)
    return {
      answers,
      interim: interim.map(({ status }) => status),
      // A connection that has switched has no end of a body to wait for.
      whole: answers.filter(({ whole, status }) => whole || status === 101).length,
    }
  }

  async #until(done: () => boolean, timeout: number): Promise<boolean> {
    if (done()) return true
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeout)
      this.#changed = () => {
        if (!done()) return
        clearTimeout(timer)
        resolve(true)
      }
    })
  }

  leave(): void {
    this.#changed = () => {}
    this.#socket.destroy()
  }
}
