// What answers are made of where it counts how well they compress: the same bytes in each process, neither all alike nor noise.

const words =
  'proxy target upstream request answer field header body cache entry stale fresh retry breaker health probe route weight client origin'.split(
    ' ',
  )

/** Numbers from 0 to 1 that look like chance: mulberry32. */
function chance(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** So many bytes: `begin`, pieces that `next` makes, blanks, `end`. */
function filled(size, begin, end, next) {
  const random = chance(size)
  const pick = (list) => list[Math.floor(random() * list.length)]
  const some = (count) => Array.from({ length: count }, () => pick(words)).join(' ')
  const parts = []
  let left = size - begin.length - end.length
  for (let i = 0; ; i++) {
    const part = next({ i, random, some, pick })
    if (part.length > left) break
    parts.push(part)
    left -= part.length
  }
  return begin + parts.join('') + ' '.repeat(left) + end
}

const row = ({ i, random, some, pick }) => ({
  id: i,
  key: Math.floor(random() * 2 ** 48).toString(16),
  name: some(2),
  active: random() < 0.7,
  price: Math.round(random() * 100_000) / 100,
  tags: [pick(words), pick(words)],
  text: some(8),
})

const makers = {
  plain: (size) => 'sluice-bench '.repeat(Math.ceil(size / 13)).slice(0, size),
  json: (size) => filled(size, '[', ']', (how) => `${how.i === 0 ? '' : ','}${JSON.stringify(row(how))}\n`),
  html: (size) =>
    filled(size, '<!doctype html><title>Entries</title><table>\n', '</table>\n', (how) => {
      const { id, key, name, price, text } = row(how)
      return `<tr class="entry"><td>${id}</td><td><a href="/entries/${key}">${name}</a></td><td>${price}</td><td>${text}</td></tr>\n`
    }),
  image: (size) => {
    const random = chance(size)
    return Array.from({ length: size }, () => String.fromCharCode(32 + Math.floor(random() * 95))).join('')
  },
}

/** Their media types. */
export const types = { plain: 'text/plain', json: 'application/json', html: 'text/html', image: 'image/png' }

/** ASCII of so many bytes. */
export function contentOf(kind, size) {
  return makers[kind](size)
}
