/**
 * Fields of a request that have one value (RFC 9110, RFC 6454) and by which something is decided: of two, one server reads the first and the next
 * one the last. `Host` and the fields of framing are judged by every mount.
 */
const names = [
  'range',
  'origin',
  'if-range',
  'content-type',
  'max-forwards',
  'authorization',
  'content-range',
]

/** The place of a name among these, and one more, by length and first letter: most fields are none by one look. */
const places = new Uint8Array(32 * 32)
names.forEach((name, i) => {
  places[placeOf(name)] = i + 1
})

function placeOf(name: string): number {
  return (Math.min(name.length, 31) << 5) | (name.charCodeAt(0) & 31)
}

/** A bit of its own for each name of a field that must not stand there twice; 0 for any other one. */
export function singleField(name: string): number {
  const place = places[placeOf(name)] as number
  return place !== 0 && name.toLowerCase() === names[place - 1] ? 1 << place : 0
}
