/** Stands in a corpus for the mark of each run. Where a mutation has hit it, nothing stands for it. */
export const blank = 'mark-of-run-'

/** Twelve characters that belong to one run. */
export function markOf(index) {
  return `mk${String(index).padStart(10, '0')}`
}

/** All marks in some bytes, as numbers of runs. */
export function marksIn(bytes) {
  const found = new Set()
  for (let at = bytes.indexOf('mk'); at !== -1; at = bytes.indexOf('mk', at + 2)) {
    const digits = bytes.toString('latin1', at + 2, at + 12)
    if (/^\d{10}$/.test(digits)) found.add(Number(digits))
  }
  return found
}

/** Puts the mark of a run wherever a blank stands, in place. */
export function fill(bytes, index) {
  for (let at = bytes.indexOf(blank); at !== -1; at = bytes.indexOf(blank, at + blank.length))
    bytes.write(markOf(index), at, 'latin1')
  return bytes
}
