// As much of a context as retry() and balance() use.

/** One attempt of a simulated request. */
export class SimContext {
  out = { method: 'GET', path: '/', headers: [], body: null }
  #closers = []

  constructor(request) {
    this.request = request
  }

  /** For policies that go by a key. */
  get key() {
    return this.request.key
  }

  onClose(fn, arg) {
    this.#closers.push(() => fn({ kind: 'done', bytes: 0 }, arg))
  }

  fork() {
    return new SimContext(this.request)
  }

  close() {
    for (const close of this.#closers.splice(0)) close()
  }
}
