// One run: a trace of requests through retry(), balance() and one policy, to servers that slow, fail and join.
import { balance } from '@sluice/balance'
import { ProxyError } from '@sluice/core'
import { retry } from '@sluice/resilience'
import { createUpstream } from '@sluice/upstream'
import { chance } from './chance.mjs'
import { SimContext } from './exchange.mjs'
import { Server } from './server.mjs'
import { VirtualTime } from './virtual-time.mjs'

/**
 * @param scenario see scenarios.mjs
 * @param policy makes the policy: `(random, upstream) => Balancer`
 * @param settings `seed`; `attempts` of retry; `watch(upstream, servers)` puts health in and gives back a list of disposables
 * @returns `{ requests, servers }`: of each request when it began and ended, how, and by whom
 */
export async function simulate(scenario, policy, settings = {}) {
  const { seed = 1, attempts = 2, watch = () => [] } = settings
  const time = new VirtualTime()
  const { random: realRandom } = Math
  time.install()
  // Jitter of health and the like: the same for the same seed too.
  Math.random = chance(seed ^ 0x5bd1e995)
  const disposables = []
  try {
    const servers = new Map()
    const add = (init) => {
      const server = new Server(time, chance(seed + 7919 * (servers.size + 1)), init)
      servers.set(server.url, server)
      return server
    }
    const inits = scenario.servers()
    for (const init of inits) add(init)
    const targetOf = ({ url, weight = 1, zone }) => ({ url, weight, ...(zone === undefined ? {} : { zone }) })
    const upstream = createUpstream({ name: 'sim', targets: inits.map(targetOf) }, 'sim', () => time.now)
    disposables.push(...watch(upstream, servers))
    const handler = retry({ attempts })(
      balance(upstream, policy(chance(seed + 1), upstream), { clock: () => time.now })(async (ctx) => {
        ctx.request.tries.push({ at: time.now, url: ctx.target.url })
        return await answer(servers.get(ctx.target.url), ctx.request)
      }),
    )
    const requests = []
    const send = async (request) => {
      const ctx = new SimContext(request)
      requests.push(request)
      try {
        const reply = await handler(ctx)
        request.status = reply.status
      } catch {
        request.status = 502
      }
      request.url = request.tries.at(-1)?.url
      request.end = time.now
      ctx.close()
    }
    for (const { at, key, work } of scenario.trace(chance(seed)))
      time.after(at, () => void send({ at, key, work, tries: [], status: undefined, end: undefined }))
    const world = { time, servers, upstream, add, targetOf }
    for (const { at, change } of scenario.changes ?? []) time.after(at, () => change(world))
    await time.run(scenario.length)
    return { requests, servers: [...servers.values()], upstream }
  } finally {
    for (const each of disposables) each[Symbol.dispose]()
    time.restore()
    Math.random = realRandom
  }
}

async function answer(server, { work }) {
  let status
  try {
    status = await server.ask(work)
  } catch (cause) {
    throw new ProxyError('connection_refused', { cause })
  }
  return { status, headers: [], body: null }
}
