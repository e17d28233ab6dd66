// As much of a context as retry(), hedge(), concurrency and balance() use.
import { ProxyError } from '@sluice/core'

/** One attempt of a simulated request. Its forks end with the request, whatever became of the attempt. */
export class SimContext {
  #closers = undefined
  #forks = undefined
  #over = undefined
  #first

  constructor(request, first) {
    this.request = request
    this.out = { method: request.method, path: '/', headers: [], body: null }
    this.#first = first ?? this
    if (first === undefined) return
    first.#forks ??= []
    first.#forks.push(this)
    if (first.#over !== undefined) this.close(first.#over)
  }

  /** For policies that go by a key. */
  get key() {
    return this.request.key
  }

  onClose(fn, arg) {
    if (this.#over !== undefined) return fn(this.#over, arg)
    this.#closers ??= []
    this.#closers.push({ fn, arg })
  }

  /** With the keys that layers have added so far. */
  fork() {
    const fork = new SimContext(this.request, this.#first)
    const { out } = fork
    return Object.assign(fork, this, { out })
  }

  /** Gives this attempt up: for an error that is its target's, or since nobody waits for it any more. */
  cancel(error = new ProxyError('client_left')) {
    if (this.#first === this) return
    this.close({ kind: error.code === 'client_left' ? 'client-left' : 'error', error, bytes: 0 })
  }

  /** This attempt is over. The first call counts. */
  close(end) {
    if (this.#over !== undefined) return
    this.#over = end
    const closers = this.#closers
    this.#closers = undefined
    for (const { fn, arg } of closers ?? []) fn(end, arg)
  }

  /** The request is over, and with it all of its attempts. */
  end(kind) {
    const end = { kind, bytes: 0 }
    this.close(end)
    for (const fork of this.#forks ?? []) fork.close(end)
  }
}
