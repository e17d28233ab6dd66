/** What a {@link LinkedList} holds: it carries its place there. The fields are the list's to write. */
export interface Linked<T> {
  next: T | undefined
  previous: T | undefined
}

/**
 * A set of objects that come and go with requests, the newest first. A `Set` or `Map` whose members change all the time is copied again and again,
 * and V8 (to Node 26) links each old table to the next: once one of them has got old, all that comes after survives collections of young
 * garbage, which then took half of the time. Members of this one are let go of at once, links and all.
 */
export class LinkedList<T extends Linked<T>> implements Iterable<T> {
  first: T | undefined = undefined
  last: T | undefined = undefined

  add(one: T): void {
    const { first } = this
    one.next = first
    if (first === undefined) this.last = one
    else first.previous = one
    this.first = one
  }

  /** Takes out what is in it; once. */
  remove(one: T): void {
    const { next, previous } = one
    if (previous !== undefined) previous.next = next
    else if (this.first === one) this.first = next
    else return
    if (next !== undefined) next.previous = previous
    else this.last = previous
    one.next = undefined
    one.previous = undefined
  }

  /** Lets go of all. What was in it is in no list any more, and not to be taken out. */
  clear(): void {
    this.first = undefined
    this.last = undefined
  }

  /** Calls `fn` with each; which may take itself out. */
  forEach<A>(fn: (one: T, arg: A) => void, arg: A): void {
    let one = this.first
    while (one !== undefined) {
      const { next } = one
      fn(one, arg)
      one = next
    }
  }

  /** All that is in it now, whatever comes and goes meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    const all: T[] = []
    for (let one = this.first; one !== undefined; one = one.next) all.push(one)
    return all[Symbol.iterator]()
  }
}
