const ways = 4
const fewest = 1024

/**
 * Remembers by their hashes which keys were let go lately, as many as it is told to. A hash and a time take 8 bytes, so that
 * a memory as long as the cache costs next to nothing. A bucket has four places, of which the oldest is given up; so some are forgotten
 * early, and two keys of one hash count as one.
 */
export class Ghosts {
  private hashes = new Int32Array(fewest)
  /** When each was added, by the count of all that were; 0 for a free place. */
  private times = new Uint32Array(fewest)
  private now = 0

  /** Remembers a key for as long as `capacity` others are added. */
  add(hash: number, capacity: number): void {
    if (capacity * 2 > this.hashes.length) this.grow()
    // Far from the end: a store that lets go of a million keys a minute is there after three days.
    if (this.now === 0xffff_ffff) this.clear()
    this.insert(hash, ++this.now)
  }

  /** Whether a key is remembered; it is then forgotten. */
  take(hash: number, capacity: number): boolean {
    const first = this.bucket(hash)
    for (let at = first; at < first + ways; at++) {
      const time = this.times[at] as number
      if (time === 0 || this.hashes[at] !== hash) continue
      this.times[at] = 0
      return this.now - time < Math.max(capacity, fewest / 2)
    }
    return false
  }

  private clear(): void {
    this.times.fill(0)
    this.now = 0
  }

  private insert(hash: number, time: number): void {
    const first = this.bucket(hash)
    let oldest = first
    for (let at = first; at < first + ways; at++) {
      if (this.hashes[at] === hash) {
        oldest = at
        break
      }
      if ((this.times[at] as number) < (this.times[oldest] as number)) oldest = at
    }
    if (time < (this.times[oldest] as number)) return
    this.hashes[oldest] = hash
    this.times[oldest] = time
  }

  private bucket(hash: number): number {
    return (Math.imul(hash, ways) & (this.hashes.length - 1)) >>> 0
  }

  private grow(): void {
    const { hashes, times } = this
    this.hashes = new Int32Array(hashes.length * 2)
    this.times = new Uint32Array(hashes.length * 2)
    for (let at = 0; at < hashes.length; at++)
      if (times[at] !== 0) this.insert(hashes[at] as number, times[at] as number)
  }
}
