// What a run adds up to.

/** The value below which this part of the values lies; `undefined` for none. */
export function quantile(sorted, part) {
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)]
}

/**
 * @returns `fairness`: standard deviation of requests for the weight, as a part of their mean (coefficient of variation), over
 * all servers; `p50` and `p99` of whole answers in ms; `errors` as a part of all; `detected`: ms from the fault until the server had a
 * tenth of its share for a second; `recovered`: ms from its end until it had four fifths again. `undefined` where it hasn't happened.
 */
export function figures({ requests, servers }, { mark, at, until, length }) {
  const done = requests.filter(({ end }) => end !== undefined)
  const times = done.filter(({ status }) => status === 200).map((each) => each.end - each.at)
  times.sort((a, b) => a - b)
  const failed = requests.filter(
    ({ status, at: began }) => status !== 200 && (status !== undefined || began < length - 2_000),
  )
  const loads = servers.map(({ asked, weight }) => asked / weight)
  const mean = loads.reduce((sum, each) => sum + each, 0) / loads.length
  const variance = loads.reduce((sum, each) => sum + (each - mean) ** 2, 0) / loads.length
  return {
    requests: requests.length,
    fairness: Math.sqrt(variance) / mean,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    errors: failed.length / requests.length,
    detected:
      at === undefined
        ? undefined
        : shareReaches(requests, mark, servers.length, at, until, (share) => share < 0.1),
    recovered:
      until === undefined
        ? undefined
        : shareReaches(requests, mark, servers.length, until, length, (share) => share > 0.8),
  }
}

/** Ms from `from` until the share of first tries that a server gets in a second, for an equal share, is as it should be. */
function shareReaches(requests, url, count, from, to, isRight) {
  const firsts = requests.flatMap(({ tries }) => (tries.length > 0 ? [tries[0]] : []))
  for (let start = from; start + 1_000 <= to; start += 100) {
    const among = firsts.filter(({ at }) => at >= start && at < start + 1_000)
    if (among.length === 0) continue
    const share = (among.filter((each) => each.url === url).length / among.length) * count
    if (isRight(share)) return start - from
  }
  return undefined
}

/**
 * The part of keys that go elsewhere when one target leaves, and the least possible.
 * @param policy one policy by key
 */
export function moved(policy, before, after, keys) {
  const where = (targets) => keys.map((key) => policy(targets, { key })?.id)
  const [first, second] = [where(before), where(after)]
  const stay = new Set(after.map(({ id }) => id))
  const changed = first.filter((id, i) => id !== second[i]).length
  const least = first.filter((id) => !stay.has(id)).length
  return { moved: changed / keys.length, least: least / keys.length }
}
