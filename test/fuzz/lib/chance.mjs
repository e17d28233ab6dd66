/** Chance that is the same for the same seed (xorshift32): no call, no object, no division of doubles in the way. */
export class Chance {
  #state = 1

  /** Begins the numbers of run `index`, which are its own, so that any run can be had again alone. */
  begin(seed, index) {
    let mixed = (Math.imul(seed, 0x9e3779b1) + Math.imul(index, 0x85ebca6b)) | 0
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    this.#state = mixed ^ (mixed >>> 15) || 1
  }

  /** A whole number from 0 up to, and without, `limit`. */
  below(limit) {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return (x >>> 0) % limit
  }
}
