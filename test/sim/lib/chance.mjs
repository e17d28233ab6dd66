// Chance that is the same for the same seed: one generator for each use, so that one policy's draws don't move another's.

/** Numbers in [0, 1): mulberry32. */
export function chance(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Times between events that come at `rate` a millisecond, independent of each other. */
export function exponential(random, mean) {
  return -Math.log(1 - random()) * mean
}

/** Log-normal with this mean; `sigma` is how far it spreads: service times of web servers have a long tail. */
export function logNormal(random, mean, sigma = 0.5) {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return mean * Math.exp(sigma * normal - (sigma * sigma) / 2)
}

/** A number below `count`; the k-th is drawn as often as 1 / (k + 1): keys of caches and users. */
export function zipf(count) {
  const sums = new Float64Array(count)
  let sum = 0
  for (let k = 0; k < count; k++) sums[k] = sum += 1 / (k + 1)
  return (random) => {
    const at = random() * sum
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] < at) low = middle + 1
      else high = middle
    }
    return low
  }
}
