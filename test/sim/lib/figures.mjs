// What a run adds up to.

/** The value below which this part of the values lies; `undefined` for none. */
export function quantile(sorted, part) {
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)]
}

/**
 * @returns `fairness`: standard deviation of requests for the weight, as a part of their mean (coefficient of variation), over all
 * servers; `p50`, `p99` and `p999` in ms of whole answers, retries included, where a client that has left counts with the time that it
 * waited; `errors` as a part of all; `further`: tries beyond the first of each, for a request; `work`: ms for which servers had
 * a place taken, for a request; `detected`: ms from the fault until the server gets less than a tenth of its share;
 * `recovered`: ms from its end until it gets four fifths again; `moved`, `wandering` and `least`: see {@link movedKeys}. `undefined` for what
 * has not happened, or can't.
 */
export function figures({ requests, servers }, { mark, at, until, length, joins, leaves }) {
  const times = []
  let failed = 0
  let further = 0
  for (const { at: began, end, status, tries } of requests) {
    further += Math.max(0, tries.length - 1)
    if (status !== 200) failed++
    if (status === 200 || status === 499) times.push(end - began)
  }
  times.sort((a, b) => a - b)
  const detected =
    at === undefined ? undefined : shareReaches(requests, mark, servers, at, until, (share) => share < 0.1)
  // Who was never left alone has nowhere to come back from.
  const recovered =
    detected === undefined
      ? undefined
      : shareReaches(requests, mark, servers, until, length, (share) => share > 0.8)
  return {
    requests: requests.length,
    fairness: variation(servers.map(({ asked, weight }) => asked / weight)),
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    p999: quantile(times, 0.999),
    errors: failed / requests.length,
    further: further / requests.length,
    work: servers.reduce((sum, { busy }) => sum + busy, 0) / requests.length,
    detected,
    recovered,
    ...movedKeys(requests, servers, mark, joins, leaves),
  }
}

/** Standard deviation as a part of the mean. */
function variation(loads) {
  const mean = loads.reduce((sum, each) => sum + each, 0) / loads.length
  const variance = loads.reduce((sum, each) => sum + (each - mean) ** 2, 0) / loads.length
  return Math.sqrt(variance) / mean
}

/** Ms in which a share is measured, and how finely. */
const [span, step] = [1_000, 10]

/** Ms from `from` until the part of first tries that a server gets in the second after, for an equal share, is as it should be. */
function shareReaches(requests, url, { length: count }, from, to, isRight) {
  const buckets = Math.max(0, Math.floor((to - from) / step))
  const all = new Int32Array(buckets + 1)
  const own = new Int32Array(buckets + 1)
  for (const { tries } of requests) {
    const [first] = tries
    if (first === undefined || first.at < from || first.at >= to) continue
    const bucket = Math.floor((first.at - from) / step) + 1
    all[bucket]++
    if (first.url === url) own[bucket]++
  }
  for (let i = 1; i <= buckets; i++) {
    all[i] += all[i - 1]
    own[i] += own[i - 1]
  }
  for (let i = 0; i + span / step <= buckets; i++) {
    const among = all[i + span / step] - all[i]
    if (among > 0 && isRight(((own[i + span / step] - own[i]) / among) * count)) return i * step
  }
  return undefined
}

/**
 * When one server joins or leaves: `moved`, the part of the keys whose first request after it goes to another server than their last
 * one before; `wandering`, the same at a time when nothing happens; and `least`, the least possible to move: the keys of the one that
 * left, or a fair share for the one that joined.
 */
function movedKeys(requests, servers, mark, joins, leaves) {
  const change = joins ?? leaves
  if (change === undefined) return { moved: undefined, wandering: undefined, least: undefined }
  const pairs = pairsAt(requests, change, Number.POSITIVE_INFINITY)
  const weights = servers.reduce((sum, { weight }) => sum + weight, 0)
  return {
    moved: part(pairs, ([before, after]) => before !== after),
    wandering: part(pairsAt(requests, change / 2, change), ([before, after]) => before !== after),
    least:
      joins === undefined
        ? part(pairs, ([before]) => before === mark)
        : servers.find(({ url }) => url === mark).weight / weights,
  }
}

/** For each key where its last request before a time went, and its first one after it. */
function pairsAt(requests, time, until) {
  const pairs = new Map()
  for (const { at, key, tries } of requests) {
    const url = tries[0]?.url
    if (at >= until || url === undefined) continue
    const pair = pairs.get(key)
    if (at < time) pairs.set(key, [url, undefined])
    else if (pair !== undefined) pair[1] ??= url
  }
  return [...pairs.values()].filter(([, after]) => after !== undefined)
}

function part(list, is) {
  return list.length === 0 ? undefined : list.filter(is).length / list.length
}
