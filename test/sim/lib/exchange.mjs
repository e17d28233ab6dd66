// As much of a context as retry(), concurrency and balance() use.

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

  fork() {
    return new SimContext(this.request, this.#first)
  }

  /** Gives this attempt up. */
  cancel(error) {
    if (this.#first !== this) this.close({ kind: 'error', error, bytes: 0 })
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
