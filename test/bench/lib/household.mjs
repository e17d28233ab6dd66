// The servers of a run: the origin, and the contenders in front of it.
import { addressOf } from './addresses.mjs'
import { startServer } from './children.mjs'
import { caches, coders, contenders, native } from './contenders.mjs'
import { validate } from './validate.mjs'
import { which } from './which.mjs'

const origins = {
  nginx: { script: new URL('../origins/nginx.mjs', import.meta.url), told: 'nginx' },
  node: {
    script: new URL('../origins/node.mjs', import.meta.url),
    told: 'Node in another process (nginx is missing)',
  },
  slow: {
    script: new URL('../origins/node.mjs', import.meta.url),
    told: 'Node in another process (it pauses between parts)',
  },
  echo: {
    script: new URL('../origins/echo.mjs', import.meta.url),
    told: 'Node in another process (it echoes messages)',
  },
}

/** Which origin a scenario has here, by name. */
function originOf({ front, pause }) {
  if (front === 'websocket') return 'echo'
  if (pause > 0) return 'slow'
  return which('nginx') === undefined ? 'node' : 'nginx'
}

/** What the origin of a scenario is here, for a person. */
export function originTold(scenario) {
  return origins[originOf(scenario)].told
}

/** Starts the origin of a scenario. Returns its address. */
export async function startOrigin(name, scenario) {
  const { port } = await startServer(origins[originOf(scenario)].script, [name])
  return `http://127.0.0.1:${port}`
}

/** Those of the contenders that can't do one of some things (lib/contenders.mjs), with the reason. */
export function unable(names, ...things) {
  const reasons = names.map((name) => [
    name,
    things.map((thing) => contenders[name].cannot[thing]).find(Boolean),
  ])
  return Object.fromEntries(reasons.filter(([, reason]) => reason !== undefined))
}

/** Starts a contender and tells it of the origin and of the scenario. */
export function startContender(name, words, { cores, flags, node }) {
  // What starts nginx or HAProxy is no part of it: that stays with the Node of the run.
  const own = native.includes(name) ? {} : { node, flags }
  return startServer(contenders[name].script, words, { cores, ...own })
}

/**
 * Starts contenders in front of the origin and looks at what each answers.
 * @param scenario by name and as it is in lib/scenarios.mjs
 * @param settings `cores`, `node` and `flags` as startServer takes them; `certificate` for scenarios over TLS; `signal`
 * @returns those that serve as they should, and why the others are `skipped`
 */
export async function startContenders(names, origin, [scenarioName, scenario], settings) {
  const { certificate, signal } = settings
  const servers = {}
  const skipped = unable(names, scenarioName, scenario.front)
  for (const name of names.filter((one) => !(one in skipped))) {
    let server
    const { front = scenario.front } = contenders[name]
    const asked = { ...scenario, front }
    const secure = certificate !== undefined && ['https', 'h2'].includes(front)
    const words = [origin, scenarioName, ...(secure ? [certificate.key, certificate.cert] : [])]
    try {
      server = await startContender(name, words, settings)
      const is = { keeps: caches.includes(name), codes: coders.includes(name) }
      const bytes = await validate(addressOf(asked, server.port), asked, certificate?.cert, is)
      servers[name] = { ...server, bytes, asked }
    } catch (error) {
      await server?.stop()
      signal.throwIfAborted()
      skipped[name] = error.message
    }
  }
  return { servers, skipped }
}
