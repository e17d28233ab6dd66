// A server behind the proxy: so many requests at once, the others wait in line.
import { logNormal } from './chance.mjs'

/** Time for a refused connection or a short answer to come back, in ms. */
const roundTrip = 0.5

/**
 * idle ──begin──▶ busy (up to `width` at once) ──done──▶ next in line
 * mode: 'up' serves; 'refuses' connections; answers '503'; 'hangs': takes and never answers
 */
export class Server {
  mode = 'up'
  /** Service times are multiplied by it. */
  slow = 1
  served = 0
  asked = 0
  #busy = 0
  #line = []

  constructor(time, random, { url, mean = 10, width = 8, weight = 1 }) {
    Object.assign(this, { time, random, url, mean, width, weight })
  }

  /** Requests in it, in line or served. */
  get load() {
    return this.#busy + this.#line.length
  }

  /** @returns the status; rejects with `refused` where nobody listens */
  ask(work = 1) {
    this.asked++
    if (this.mode === 'refuses')
      return new Promise((_, reject) => this.time.after(roundTrip, () => reject(new Error('refused'))))
    if (this.mode === '503') return new Promise((resolve) => this.time.after(roundTrip, () => resolve(503)))
    return new Promise((resolve) => {
      this.#line.push({ work, resolve })
      this.#next()
    })
  }

  #next() {
    if (this.mode === 'hangs') return
    while (this.#busy < this.width && this.#line.length > 0) {
      const { work, resolve } = this.#line.shift()
      this.#busy++
      this.time.after(logNormal(this.random, this.mean * work) * this.slow, () => {
        this.#busy--
        this.served++
        this.time.after(roundTrip, () => resolve(200))
        this.#next()
      })
    }
  }

  /** What hung goes on. */
  become(mode) {
    this.mode = mode
    this.#next()
  }
}
