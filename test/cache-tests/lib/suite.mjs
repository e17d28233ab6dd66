// The tests of the suite as they are defined in its package.
import { pathToFileURL } from 'node:url'

/**
 * A suite of tests that counts by itself: `Surrogate-Control` is a note of the W3C from 2001, what followed it is RFC 9213, and the
 * suite's later versions leave it out.
 */
export const aside = 'surrogate-control'

/** The definitions of a suite's package, the live ones: what is left out of them isn't run. */
export async function definitions(folder) {
  const load = async (file) => (await import(pathToFileURL(`${folder}/tests/${file}`).href)).default
  return [...(await load('index.mjs')), await load('surrogate-control.mjs')]
}

/**
 * What can be run outside of a browser.
 * @returns `{ id, name, suite, kind, needs }` of each test: `kind` is `required`, `optimal` or `check`, `needs` the ids of the tests
 *   without which it tells nothing
 */
export async function readTests(folder) {
  const suites = await definitions(folder)
  return suites.flatMap((suite) =>
    suite.tests
      .filter((test) => test.browser_only !== true)
      .map(({ id, name, kind = 'required', depends_on: needs = [] }) => ({
        ...{ id, name, suite: suite.id, kind, needs },
      })),
  )
}

/**
 * The tests of these suites, or with these ids.
 * @throws Error for a name that is neither
 */
export function select(tests, names) {
  for (const name of names)
    if (!tests.some(({ id, suite }) => id === name || suite === name))
      throw new Error(`got '${name}', takes the id of a test or of a suite: ${suitesOf(tests).join(', ')}`)
  return tests.filter(({ id, suite }) => names.includes(id) || names.includes(suite))
}

/** Ids of the suites, in their order. */
export function suitesOf(tests) {
  return [...new Set(tests.map(({ suite }) => suite))]
}

/** These tests and all that they need. */
export function withNeeds(tests, chosen) {
  const found = new Map()
  const visit = (test) => {
    if (found.has(test.id)) return
    found.set(test.id, test)
    for (const id of test.needs) visit(tests.find((other) => other.id === id))
  }
  for (const test of chosen) visit(test)
  return [...found.values()]
}
