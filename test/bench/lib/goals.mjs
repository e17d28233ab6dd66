// What is promised (lib/scenarios.mjs) beside what was measured.
import { promisedAt, scenarios } from './scenarios.mjs'

/**
 * Each goal of a scenario and whether it is reached; `ratio` and `reached` are undefined where one of the two wasn't
 * measured. None over other numbers of connections than the goals are for.
 * @param results what lib/report.mjs makes of the measurements
 */
export function judged(results, { scenario, connections }) {
  if (connections !== promisedAt) return []
  return scenarios[scenario].goals.map((goal) => {
    const value = results[goal.contender]?.ratios[goal.against]
    return { ...goal, ratio: value, reached: value === undefined ? undefined : value <= goal.atMost }
  })
}

/** A goal and how it went, for a person. */
export function goalLine({ contender, against, atMost, ratio, reached }) {
  const wanted = `at most ${atMost.toFixed(2)}`
  if (ratio === undefined) return `${contender} ÷ ${against}: not measured, ${wanted}`
  return `${contender} ÷ ${against}: ${ratio.toFixed(2)}, ${wanted}: ${reached ? 'reached' : 'NOT REACHED'}`
}

/**
 * The closing words of a run over several scenarios.
 * @param outcomes `name: { goals }` of those that were measured, `name: { skipped }` with the reason of the others
 */
export function summary(outcomes) {
  return Object.entries(outcomes).flatMap(([name, { goals = [], skipped }]) => {
    if (skipped !== undefined) return [`${name} was skipped: ${skipped}`]
    return goals.map((goal) => `${name}: ${goalLine(goal)}`)
  })
}
