// A simulated server: so many requests at once, the others wait in line.
import { logNormal } from './chance.mjs'

/** Time for a refused connection or a short answer to come back, in ms. */
const roundTrip = 0.5
/** How many times longer the first request of a cold server takes. */
const coldest = 5
/** How many times longer a request takes that a server stumbles over. */
const stumble = 20

/**
 * idle ──begin──▶ busy (up to `width` at once) ──done──▶ next in line
 * mode: 'up' serves; 'refuses' connections; answers '503'; 'half': answers half of them with 503; 'hangs': takes and never answers;
 * 'misjudged': serves, and fails its probes
 * time = log-normal of `mean` × work × slow × (1 + (coldest - 1) × what is left of the first `cold` requests), and for a part of the
 * requests, `stumbles`, twenty times that
 *
 * It doesn't notice when nobody waits for an answer any more: it makes it all the same, as most do. One that `hears` gives it up, and its
 * place is free at once.
 */
export class Server {
  mode = 'up'
  /** Service times are multiplied by it. */
  slow = 1
  served = 0
  asked = 0
  /** Milliseconds that requests have had a place, all places together. */
  busy = 0
  #serving = 0
  #line = []
  #first = 0

  constructor(
    time,
    random,
    { url, mean = 40, width = 4, weight = 1, cold = 0, stumbles = 0, hears = false },
  ) {
    Object.assign(this, { time, random, url, mean, width, weight, cold, stumbles, hears })
  }

  /** @returns `answer`: the status; rejects with `refused` where nobody listens. `drop()` tells that nobody waits for it any more */
  ask(work = 1) {
    this.asked++
    const atOnce = this.#atOnce()
    if (atOnce !== undefined) return { answer: atOnce, drop() {} }
    const one = { work, resolve: undefined, begun: undefined, done: undefined, gone: false }
    const answer = new Promise((resolve) => {
      one.resolve = resolve
    })
    this.#line.push(one)
    this.#next()
    return { answer, drop: () => this.#drop(one) }
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
    while (this.#serving < this.width && this.#first < this.#line.length) {
      const one = this.#line[this.#first++]
      if (this.#first > 1_000) {
        this.#line.splice(0, this.#first)
        this.#first = 0
      }
      if (one.gone) continue
      this.#serving++
      one.begun = this.time.now
      const warming = this.cold === 0 ? 1 : 1 + (coldest - 1) * Math.max(0, 1 - this.served / this.cold)
      const stumbling = this.stumbles > 0 && this.random() < this.stumbles ? stumble : 1
      const ms = logNormal(this.random, this.mean * one.work) * this.slow * warming * stumbling
      one.done = this.time.after(ms, () => {
        this.#leaves(one)
        this.served++
        this.time.after(roundTrip, () => one.resolve(200))
        this.#next()
      })
    }
  }

  /** Its place is free. */
  #leaves(one) {
    one.gone = true
    this.#serving--
    this.busy += this.time.now - one.begun
  }

  #drop(one) {
    if (!this.hears || one.gone) return
    if (one.begun === undefined) {
      one.gone = true
      return
    }
    this.time.cancel(one.done)
    this.#leaves(one)
    this.#next()
  }

  /** What hung goes on. */
  become(mode) {
    this.mode = mode
    this.#next()
  }
}
