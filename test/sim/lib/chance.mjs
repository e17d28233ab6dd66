// Chance that is the same for the same seed, on every engine: one generator for each use, so that one policy's draws don't move
// another's. Only sums, products, quotients and square roots are in it, of which IEEE 754 allows one result; Math.log and its like
// may differ in their last bit, and a tie that falls the other way makes another run.

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

/** The natural logarithm of a number above 0: halved or doubled until it is near 1, then 2 artanh((x - 1) / (x + 1)). */
export function ln(x) {
  let [near, halvings] = [x, 0]
  for (; near > Math.SQRT2; halvings++) near /= 2
  for (; near < Math.SQRT1_2; halvings--) near *= 2
  const z = (near - 1) / (near + 1)
  let sum = 0
  for (let n = 23; n >= 1; n -= 2) sum = sum * z * z + 1 / n
  return 2 * z * sum + halvings * Math.LN2
}

/** e to the power of a small number: Taylor's series of what is left when the powers of two are out. */
export function exp(x) {
  let doublings = Math.round(x / Math.LN2)
  const rest = x - doublings * Math.LN2
  let result = 1
  for (let n = 16; n >= 1; n--) result = 1 + (result * rest) / n
  for (; doublings > 0; doublings--) result *= 2
  for (; doublings < 0; doublings++) result /= 2
  return result
}

/** Times between events that come independently of each other. */
export function exponential(random, mean) {
  return -ln(1 - random()) * mean
}

/** Log-normal with this mean; `sigma` is how far it spreads: service times of web servers have a long tail. */
export function logNormal(random, mean, sigma = 0.5) {
  return mean * exp(sigma * normal(random) - (sigma * sigma) / 2)
}

/** Marsaglia's polar method. */
function normal(random) {
  for (;;) {
    const [u, v] = [2 * random() - 1, 2 * random() - 1]
    const s = u * u + v * v
    if (s > 0 && s < 1) return u * Math.sqrt((-2 * ln(s)) / s)
  }
}

/** A number below `count`, drawn as often as `often(k)` says for the k-th, from 1 on. */
export function drawn(count, often) {
  const sums = new Float64Array(count)
  let sum = 0
  for (let k = 0; k < count; k++) sums[k] = sum += often(k + 1)
  return (random) => {
    const at = random() * sum
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] <= at) low = middle + 1
      else high = middle
    }
    return low
  }
}
