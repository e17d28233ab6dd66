// A clock that moves from event to event. While it is installed, timers and performance.now() of this process are its own, so that
// the packages under test run as they are: whatever they wait for is an event among those of the simulation.
const { nextTick } = process
const names = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval']

/**
 * Events in the order of their time, those of one time in the order in which they were planned: a binary heap.
 *
 * run(): take the first, move the clock to it, call it, let what waits for promises go on
 */
export class VirtualTime {
  now = 0
  #heap = []
  #planned = 0
  #real = undefined

  /** Calls `fn` in `ms`. Returns what {@link cancel} takes. */
  after(ms, fn) {
    return this.at(this.now + Math.max(ms, 0), fn)
  }

  /** Calls `fn` at a time that isn't past. */
  at(at, fn) {
    const event = { at, order: this.#planned++, fn }
    this.#push(event)
    return event
  }

  cancel(event) {
    if (event !== undefined) event.fn = undefined
  }

  /** Runs events until there are none before `end`, and leaves the clock there. */
  async run(end) {
    while (this.#heap.length > 0 && this.#heap[0].at <= end) {
      const { at, fn } = this.#pop()
      if (fn === undefined) continue
      this.now = at
      fn()
      // What waits for promises goes on, however many in a row: a tick comes when none is left.
      await new Promise(nextTick)
    }
    this.now = end
  }

  install() {
    this.#real = {
      now: performance.now,
      ...Object.fromEntries(names.map((name) => [name, globalThis[name]])),
    }
    performance.now = () => this.now
    // What a timer leaves to an immediate, for what is still unread, is at once: here nothing is unread.
    globalThis.setTimeout = (fn, ms = 0, ...args) =>
      new Timer(this, () => (fn === setImmediate ? args[0]() : fn(...args)), ms, false)
    globalThis.setInterval = (fn, ms = 0, ...args) => new Timer(this, () => fn(...args), ms, true)
    globalThis.clearTimeout = globalThis.clearInterval = (timer) => timer?.close?.()
  }

  restore() {
    if (this.#real === undefined) return
    performance.now = this.#real.now
    for (const name of names) globalThis[name] = this.#real[name]
    this.#real = undefined
  }

  #push(event) {
    const heap = this.#heap
    let i = heap.length
    for (; i > 0; ) {
      const parent = (i - 1) >> 1
      if (before(heap[parent], event)) break
      heap[i] = heap[parent]
      i = parent
    }
    heap[i] = event
  }

  #pop() {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    const { length } = heap
    if (length === 0) return first
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= length) break
      if (child + 1 < length && before(heap[child + 1], heap[child])) child++
      if (before(last, heap[child])) break
      heap[i] = heap[child]
      i = child
    }
    heap[i] = last
    return first
  }
}

function before(a, b) {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** What `setTimeout` gives back. */
class Timer {
  #time
  #fn
  #ms
  #repeats
  #event

  constructor(time, fn, ms, repeats) {
    this.#time = time
    this.#fn = fn
    this.#ms = Math.max(ms, 1)
    this.#repeats = repeats
    this.refresh()
  }

  refresh() {
    this.#time.cancel(this.#event)
    this.#event = this.#time.after(this.#ms, () => {
      if (this.#repeats) this.refresh()
      this.#fn()
    })
    return this
  }

  close() {
    this.#time.cancel(this.#event)
    return this
  }

  ref() {
    return this
  }

  unref() {
    return this
  }

  hasRef() {
    return false
  }

  [Symbol.dispose]() {
    this.close()
  }
}
