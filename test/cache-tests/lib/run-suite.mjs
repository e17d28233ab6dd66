// One run of the suite: its origin, a proxy before it, its client.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { outputOf, startServer, stopAll } from '../../bench/lib/children.mjs'
import { withNeeds } from './suite.mjs'
import { verdicts } from './verdicts.mjs'

const server = (name) => new URL(`../servers/${name}.mjs`, import.meta.url)
const driver = fileURLToPath(new URL('drive.mjs', import.meta.url))

/** Seconds that the client may take: it pauses for three, some times in a row, in each hundred of tests. */
const patience = 300

/** Whom the suite can be run against, beside Sluice. */
export const others = ['nginx', 'varnish', 'undici']

/**
 * Runs tests, and those that they need, against one proxy. All that it started has ended then.
 * @param proxy `{ name }` of another proxy, or `{ store }` of Sluice, `none` for no cache
 * @param suite `{ folder, tests }` of the suite, all of its tests
 * @param chosen those to run
 * @param options `dump` prints requests and answers on both sides
 * @returns a verdict for each test by its id
 * @throws Error if a server doesn't start, or the client says nothing
 */
export async function runSuite(proxy, { folder, tests }, chosen, { dump = false } = {}) {
  const place = mkdtempSync(join(tmpdir(), 'cache-tests-'))
  const log = join(place, 'origin.log')
  try {
    const origin = await startServer(server('origin'), [folder, log])
    const { port } = await startProxy(proxy, `http://127.0.0.1:${origin.port}`, place)
    const run = withNeeds(tests, chosen)
    const ids = JSON.stringify(run.map(({ id }) => id))
    const words = [driver, folder, `http://127.0.0.1:${port}`, ids, ...(dump ? ['verbose'] : [])]
    const text = await outputOf(process.execPath, ['--no-warnings', ...words], patience)
    // The results are the last thing that it prints: JSON, whose first line is a bracket alone.
    const from = text.search(/^\{(\}|\n)/m)
    if (dump) {
      console.log(text.slice(0, from))
      console.log(readFileSync(log, 'utf8'))
    }
    if (from === -1) throw new Error(`the client of the suite told no results:\n${text}`)
    return verdicts(run, JSON.parse(text.slice(from)))
  } finally {
    await stopAll()
    rmSync(place, { recursive: true, force: true })
  }
}

async function startProxy({ name, store }, origin, place) {
  if (name !== undefined) return await startServer(server(name), [origin])
  const words = [origin, store, join(place, 'store')]
  if (store === 'redis') {
    const { port } = await startServer(server('redis'), [])
    words.push(`redis://127.0.0.1:${port}`)
  }
  return await startServer(server('sluice'), words)
}
