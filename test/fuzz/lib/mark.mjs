/** Stands in a corpus for the mark of each run. Where a mutation has hit it, nothing stands for it. */
export const blank = 'mark-of-run-'

/** So many values have a check of four characters. */
const checks = 36 ** 4

/**
 * Twelve characters that belong to one run. Four of them are a check: a mutation, or a parser that is told to be lenient about chunks, may make
 * another run's mark of one by chance otherwise.
 */
export function markOf(index) {
  return `mk${index.toString(36).padStart(6, '0')}${checkOf(index)}`
}

/** Neighbours have checks that are far apart (Knuth's multiplicative hashing). */
function checkOf(index) {
  return ((Math.imul(index, 0x9e3779b1) >>> 0) % checks).toString(36).padStart(4, '0')
}

/** All marks in some bytes, as numbers of runs. */
export function marksIn(bytes) {
  const found = new Set()
  for (let at = bytes.indexOf('mk'); at !== -1; at = bytes.indexOf('mk', at + 2)) {
    const mark = bytes.toString('latin1', at, at + 12)
    if (!/^mk[\da-z]{10}$/.test(mark)) continue
    const index = Number.parseInt(mark.slice(2, 8), 36)
    if (markOf(index) === mark) found.add(index)
  }
  return found
}

/** Puts the mark of a run wherever a blank stands, in place. */
export function fill(bytes, index) {
  for (let at = bytes.indexOf(blank); at !== -1; at = bytes.indexOf(blank, at + blank.length))
    bytes.write(markOf(index), at, 'latin1')
  return bytes
}
