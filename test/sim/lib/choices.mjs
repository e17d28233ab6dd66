// The guide of docs/balancing.md: what to choose when, each with figures of the page's own runs.
const ms = (value) => `${value.toFixed(0)} ms`
const percent = (value) =>
  value === 0 ? '0 %' : `${(value * 100).toFixed(value < 0.001 ? 2 : value < 0.1 ? 1 : 0)} %`
const s = (value) => (value === undefined ? 'never' : `${(value / 1000).toFixed(1)} s`)

/**
 * Lines of `[if, then, why]`.
 * @param found by section: `(policy, setting) => row`
 */
const guide = ({
  steady,
  weights,
  slow,
  weak,
  herd,
  hot,
  leaves,
  joins,
  dies,
  errors,
  half,
  hangs,
  stumbles,
  tail,
  rush,
  misjudged,
  tiers,
  overload,
}) => [
  [
    'You know nothing yet',
    'leave `balance` out: `power-of-two` from three targets on, and ejection is on',
    `nearly as quick as the best where all is well (p99 ${ms(steady('power-of-two').p99)}, the best ${ms(steady('least-requests').p99)}), and ${Math.round(slow('round-robin').p99 / slow('power-of-two').p99)} times better than taking turns beside a slow server`,
  ],
  [
    'Servers and requests are alike, and each must get as many',
    '`round-robin`',
    `unevenness ${percent(steady('round-robin').fairness)}, by \`least-requests\` ${percent(steady('least-requests').fairness)}; but a server half as strong gets just as many (p99 ${ms(weights('round-robin').p99)})`,
  ],
  [
    'Servers are of different strength, and you know how different',
    '`weight`, with any policy but `round-robin`, `random` and `first`',
    `p99 ${ms(weights('weighted-round-robin').p99)} instead of ${ms(weights('round-robin').p99)}`,
  ],
  [
    'Servers slow down, or stand at different distances',
    '`peak-ewma`, else `least-requests`',
    `beside a server ten times slower p99 is ${ms(slow('peak-ewma').p99)}, ${ms(slow('least-requests').p99)} by \`least-requests\`, ${ms(slow('power-of-two').p99)} by \`power-of-two\`; in turns ${percent(slow('round-robin').errors)} of the clients leave`,
  ],
  [
    'Many proxies stand before the same servers',
    '`least-requests` or `power-of-two`',
    `twenty that know of their own requests alone don't run to the same server: p99 ${ms(herd('least-requests').p99)} and ${ms(herd('power-of-two').p99)}; in turns ${ms(herd('round-robin').p99)}, by chance ${ms(herd('random').p99)}`,
  ],
  [
    'The same user, or URL, is to meet the same server',
    '`ring`; `rendezvous` for up to some dozens of targets; `maglev` for many targets and many requests',
    `when one of ten leaves, ${percent(leaves('ring').moved)} of the keys move, which is the least possible; \`maglev\` moves ${percent(leaves('maglev').moved - leaves('maglev').least)} more`,
  ],
  [
    'Some keys are asked for far more than others',
    '`boundedLoad` around it',
    `one user with every sixth request: ${percent(hot('ring').errors)} of all fail by \`ring\`, ${percent(hot('bounded-ring').errors)} by \`boundedLoad(ring(key))\`, of whose keys ${percent(leaves('bounded-ring').wandering)} are elsewhere the next time where few requests are in flight`,
  ],
  [
    'A server that has just begun is slow',
    '`slowStart` (`createProxy` has it with ejection), above all with keys or turns',
    `p99 of the whole run in turns ${ms(joins('round-robin', 'slow-start').p99)} instead of ${ms(joins('round-robin').p99)}, by \`ring\` ${ms(joins('ring', 'slow-start').p99)} instead of ${ms(joins('ring').p99)}`,
  ],
  [
    'Servers die',
    'ejection, and two tries',
    `no request fails; left alone after the first refused connect, by probes each second after ${s(dies('power-of-two', 'probes').detected)}; back after ${s(dies('power-of-two', 'ejection').recovered)} and ${s(dies('power-of-two', 'probes').recovered)}`,
  ],
  [
    'Servers answer errors, and quickly',
    'ejection; probes that ask for what breaks',
    `to a policy that goes by load the server looks like the best one: ${percent(errors('least-requests').errors)} of all fail by \`least-requests\`, ${percent(errors('power-of-two').errors)} by \`power-of-two\`, ${percent(errors('round-robin').errors)} in turns; with ejection ${percent(errors('power-of-two', 'ejection').errors)}`,
  ],
  [
    'A server fails some of its requests',
    'ejection, and `retry.statuses` for what may be sent twice; a breaker where your limit is a share of failures',
    `nobody: ${percent(half('power-of-two').errors)} fail; ejection ${percent(half('power-of-two', 'ejection').errors)}, a breaker ${percent(half('power-of-two', 'breaker at 30 %').errors)}, probes ${percent(half('power-of-two', 'probes').errors)}; with ejection and 503 tried again ${percent(half('power-of-two', 'ejection, 503 tried again').errors)}`,
  ],
  [
    'Servers hang',
    '`retry.perTry` below the patience of clients, with ejection',
    `a client that leaves counts against nobody, so that ejection alone never hears of it (${percent(hangs('round-robin', 'ejection').errors)} fail in turns); at 500 ms a try ${percent(hangs('round-robin', 'ejection, 500 ms a try').errors)}, left in ${s(hangs('round-robin', 'ejection, 500 ms a try').detected)}`,
  ],
  [
    'One server is slow now and then',
    '`peak-ewma`, which costs no request more; `hedge` helps too, whatever the policy',
    `p99.9 ${ms(stumbles('peak-ewma').p999)} instead of ${ms(stumbles('power-of-two').p999)} by \`power-of-two\`; with \`hedge\` ${ms(stumbles('power-of-two', 'hedge').p999)}, in turns too (${ms(stumbles('round-robin', 'hedge').p999)}), for ${percent(stumbles('power-of-two', 'hedge').further)} more requests`,
  ],
  [
    'Any server is slow now and then, and the slowest answers count',
    '`hedge`, for what may be done twice; else `retry.perTry`',
    `no policy sees it coming: p99.9 ${ms(tail('power-of-two').p999)}, ${ms(tail('peak-ewma').p999)} by \`peak-ewma\`; with \`hedge\` ${ms(tail('power-of-two', 'hedge').p999)} for ${percent(tail('power-of-two', 'hedge').further)} more requests; at 250 ms a try ${ms(tail('power-of-two', '250 ms a try').p999)} for ${percent(tail('power-of-two', '250 ms a try').further)}`,
  ],
  [
    'You hedge, the servers may be asked for more than they can do, and don’t hear that a request is given up',
    '`concurrency` beside it: a second try never takes a place that somebody waits for; a budget alone is too little',
    `without them a rush becomes a breakdown: ${percent(rush('power-of-two', 'hedge').errors)} fail instead of ${percent(rush('power-of-two').errors)}; with a budget of a tenth ${percent(rush('power-of-two', 'hedge, budget of a tenth').errors)}, with an adaptive limit ${percent(rush('power-of-two', 'hedge and adaptive').errors)}. Where servers hear, it does no harm (${percent(rush('power-of-two', 'hedge, servers hear').errors)} fail hedged, ${percent(rush('power-of-two', 'none, servers hear').errors)} without)`,
  ],
  [
    'Probes may be wrong about many servers at once',
    '`panic: 0.5`',
    `where the probes of seven of ten fail though they serve, the three that are left break down: ${percent(misjudged('power-of-two', 'probes').errors)} fail; with panic ${percent(misjudged('power-of-two', 'probes, panic of 0.5').errors)}`,
  ],
  [
    'Some targets are to stand in for others',
    '`priority`, with `overflow: 1.4`',
    `when three of six are out the others get no more than they can take: p99 ${ms(tiers('power-of-two', 'ejection, overflow of 1.4').p99)} and ${percent(tiers('power-of-two', 'ejection, overflow of 1.4').errors)} failed, without it ${ms(tiers('power-of-two', 'ejection').p99)} and ${percent(tiers('power-of-two', 'ejection').errors)}`,
  ],
  [
    'One server can do less than it should, and the policy doesn’t look at load',
    '`concurrency` with a limit, or `adaptive`',
    `who is full is passed over: p99 in turns ${ms(weak('round-robin', 'limit of 8').p99)} by a limit of 8, ${ms(weak('round-robin', 'adaptive').p99)} by one that finds itself; without one ${percent(weak('round-robin').errors)} of the clients leave`,
  ],
  [
    'More comes than the servers can do',
    '`concurrency`, `adaptive` where you can’t say how many at once a server can take',
    `without it all wait: p50 ${ms(overload('power-of-two').p50)} and ${percent(overload('power-of-two').errors)} leave unserved; with it p50 ${ms(overload('power-of-two', 'adaptive').p50)}, and the ${percent(overload('power-of-two', 'adaptive').errors)} that are too many hear so at once`,
  ],
]

/** The guide as a table. */
export function choices(found) {
  return [
    '| if … | then … | because |',
    '| --- | --- | --- |',
    ...guide(found).map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n')
}
