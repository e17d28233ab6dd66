// A simulated server: so many requests at once, the others wait in line.
import { logNormal } from './chance.mjs'

/** Time for a refused connection or a short answer to come back, in ms. */
const roundTrip = 0.5
/** How many times longer the first request of a cold server takes. */
const coldest = 5

/**
 * idle ──begin──▶ busy (up to `width` at once) ──done──▶ next in line
 * mode: 'up' serves; 'refuses' connections; answers '503'; 'half': answers half of them with 503; 'hangs': takes and never answers;
 * 'misjudged': serves, and fails its probes
 * time = log-normal of `mean` × work × slow × (1 + (coldest - 1) × what is left of the first `cold` requests)
 *
 * It doesn't notice when nobody waits for an answer any more: it makes it all the same, as most do.
 */
export class Server {
  mode = 'up'
  /** Service times are multiplied by it. */
  slow = 1
  served = 0
  asked = 0
  #busy = 0
  #line = []
  #first = 0

  constructor(time, random, { url, mean = 40, width = 4, weight = 1, cold = 0 }) {
    Object.assign(this, { time, random, url, mean, width, weight, cold })
  }

  /** Requests in it, in line or served. */
  get load() {
    return this.#busy + this.#line.length - this.#first
  }

  /** @returns the status; rejects with `refused` where nobody listens */
  ask(work = 1) {
    this.asked++
    return (
      this.#atOnce() ??
      new Promise((resolve) => {
        this.#line.push({ work, resolve })
        this.#next()
      })
    )
  }

  /** What a probe gets: its answer costs nothing and waits for nobody. */
  probe() {
    if (this.mode === 'misjudged') return this.#soon(503)
    return this.#atOnce() ?? (this.mode === 'hangs' ? new Promise(() => {}) : this.#soon(200))
  }

  /** What needs no work. */
  #atOnce() {
    const { mode } = this
    if (mode === 'refuses')
      return new Promise((_, reject) => this.time.after(roundTrip, () => reject(new Error('refused'))))
    const fails = mode === '503' || (mode === 'half' && this.random() < 0.5)
    return fails ? this.#soon(503) : undefined
  }

  #soon(status) {
    return new Promise((resolve) => this.time.after(roundTrip, () => resolve(status)))
  }

  #next() {
    if (this.mode === 'hangs') return
    while (this.#busy < this.width && this.#first < this.#line.length) {
      const { work, resolve } = this.#line[this.#first++]
      if (this.#first > 1_000) {
        this.#line.splice(0, this.#first)
        this.#first = 0
      }
      this.#busy++
      const warming = this.cold === 0 ? 1 : 1 + (coldest - 1) * Math.max(0, 1 - this.served / this.cold)
      this.time.after(logNormal(this.random, this.mean * work) * this.slow * warming, () => {
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
