// What happens to the servers, and who asks. Rates are chosen for three quarters of what the servers can do, where nothing else is
// said. `mark` is the server that something happens to, `at` and `until` when.
import { exponential, zipf } from './chance.mjs'

const url = (i) => `http://10.0.0.${i + 1}`
const alike = (count, init = {}) => Array.from({ length: count }, (_, i) => ({ url: url(i), ...init }))

/** Requests that come independently of each other, `rate` a millisecond, with keys as of users. */
function poisson(length, rate, keys = 2_000) {
  const key = zipf(keys)
  return function* trace(random) {
    for (let at = exponential(random, 1 / rate); at < length; at += exponential(random, 1 / rate))
      yield { at, key: `user-${key(random)}`, work: 1 }
  }
}

/** A recorded trace: lines of JSON with `at` in ms, `key`, and `work` as a multiple of the usual service time. */
export function recorded(text) {
  return function* trace() {
    for (const line of text.split('\n'))
      if (line.trim() !== '') yield { key: '', work: 1, ...JSON.parse(line) }
  }
}

const become =
  (i, mode) =>
  ({ servers }) =>
    servers.get(url(i)).become(mode)
const slow =
  (i, factor) =>
  ({ servers }) => {
    servers.get(url(i)).slow = factor
  }

/** One of ten is so from 5 s to 12 s. */
function ill(mode, about) {
  return {
    about,
    length: 25_000,
    servers: () => alike(10),
    trace: poisson(25_000, 5),
    changes: [
      { at: 5_000, change: become(3, mode) },
      { at: 12_000, change: become(3, 'up') },
    ],
    mark: url(3),
    at: 5_000,
    until: 12_000,
  }
}

export const scenarios = {
  steady: {
    about: 'ten servers alike',
    length: 20_000,
    servers: () => alike(10),
    trace: poisson(20_000, 6),
  },
  weights: {
    about: 'ten servers, the first five twice as strong as the others and of twice their weight',
    length: 20_000,
    servers: () => alike(10).map((each, i) => (i < 5 ? { ...each, weight: 2, width: 16 } : each)),
    trace: poisson(20_000, 9),
  },
  slow: {
    about: 'ten servers, one ten times slower than the others all the time',
    length: 20_000,
    servers: () => alike(10),
    trace: poisson(20_000, 4),
    changes: [{ at: 0, change: slow(3, 10) }],
    mark: url(3),
  },
  dies: ill('refuses', 'one of ten refuses connections from 5 s to 12 s'),
  errors: ill(
    '503',
    'one of ten answers 503 at once from 5 s to 12 s, which makes it look like the quickest',
  ),
  joins: {
    about: 'an eleventh server joins at 5 s',
    length: 15_000,
    servers: () => alike(10),
    trace: poisson(15_000, 6),
    changes: [
      {
        at: 5_000,
        change: ({ add, servers, upstream, targetOf }) => {
          add({ url: url(10) })
          upstream.replace([...servers.values()].map(targetOf))
        },
      },
    ],
    mark: url(10),
  },
}
