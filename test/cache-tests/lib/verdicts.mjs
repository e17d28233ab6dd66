// From what the suite's client says to what passed.

/**
 * @param tests all that were run, those that others need included
 * @param results of the suite's client: `true`, or `[kind of failure, what was wrong]`, by id
 * @returns by id: `passed`; `honoured`: passed, and all that it needs did too, and what those need; `says`: what was wrong
 */
export function verdicts(tests, results) {
  const byId = new Map(tests.map((test) => [test.id, test]))
  const holds = new Map()
  const honoured = (id) => {
    let known = holds.get(id)
    if (known === undefined) {
      // Two that need each other would end here, as failed.
      holds.set(id, false)
      known = results[id] === true && (byId.get(id)?.needs ?? []).every(honoured)
      holds.set(id, known)
    }
    return known
  }
  return new Map(
    tests.map(({ id, needs }) => [
      id,
      { passed: results[id] === true, honoured: honoured(id), says: said(results[id], needs, honoured) },
    ]),
  )
}

function said(result, needs, honoured) {
  if (result === undefined) return 'it was not run'
  if (result !== true) return `${result[0]}: ${result[1]}`
  const failed = needs.filter((id) => !honoured(id))
  return failed.length === 0 ? '' : `it passed, but needs ${failed.join(', ')}`
}

/** How many of these tests there are, how many passed, and how many with their needs honoured. */
export function count(tests, found) {
  const of = (key) => tests.filter(({ id }) => found.get(id)[key]).length
  return { all: tests.length, passed: of('passed'), honoured: of('honoured') }
}
