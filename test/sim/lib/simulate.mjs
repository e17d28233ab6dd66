// One run: a trace of requests through retry(), balance() and one policy, to servers that slow, fail, leave and join.
import { balance } from '@sluice/balance'
import { ProxyError } from '@sluice/core'
import { createUpstream } from '@sluice/upstream'
import { chance } from './chance.mjs'
import { SimContext } from './exchange.mjs'
import { Server } from './server.mjs'
import { around, readSetting } from './settings.mjs'
import { VirtualTime } from './virtual-time.mjs'

/** A client that has no answer by then has left. */
const patience = 2_000

/**
 * @param scenario see scenarios.mjs
 * @param policy `({ random, clock }) => Balancer`
 * @param how `seed` of all chance; `setting` of readSetting()
 * @returns `{ requests, servers, upstream }`: of each request when it began and ended, how, and whom it was sent to
 * @throws what the policy throws
 */
export async function simulate(scenario, policy, { seed = 1, setting = readSetting('none') } = {}) {
  // Before the first request, so that probes have found everybody.
  const { before = 2_000 } = scenario
  const time = new VirtualTime()
  const { random: realRandom } = Math
  time.install()
  // What takes no chance from outside is the same for the same seed too.
  Math.random = chance(seed ^ 0x5bd1e995)
  const ends = []
  try {
    const servers = new Map()
    const add = (init) => {
      const own = { ...init, ...setting.servers }
      const server = new Server(time, chance(seed + 7919 * (servers.size + 1)), own)
      servers.set(server.url, server)
    }
    const inits = scenario.servers()
    for (const init of inits) add(init)
    const ask = (ctx) => {
      ctx.request.tries.push({ at: time.now - before, url: ctx.target.url })
      return answer(servers.get(ctx.target.url), ctx)
    }
    const proxies = Array.from({ length: scenario.proxies ?? 1 }, (_, i) =>
      proxyOf({ servers, targets: inits.map(targetOf), policy, setting, seed: seed + i, time, ask, ends }),
    )
    const requests = []
    const bugs = []
    const which = chance(seed ^ 0x2545f491)
    const begin = ({ at, key, work, method }) => {
      const { handler } = proxies[proxies.length === 1 ? 0 : Math.floor(which() * proxies.length)]
      const request = { at, key, work, method, tries: [], status: undefined, end: undefined }
      requests.push(request)
      send(request, handler, time, before).catch((error) => bugs.push(error))
    }
    const arrivals = scenario.trace(chance(seed))[Symbol.iterator]()
    // One after the other: all of them at once would be most of what the clock has to sort.
    const arrive = () => {
      const { value, done } = arrivals.next()
      if (done) return
      time.at(before + value.at, () => {
        begin(value)
        arrive()
      })
    }
    arrive()
    const world = {
      servers,
      join(init) {
        add(init)
        inits.push(init)
        for (const { upstream } of proxies) upstream.replace(inits.map(targetOf))
      },
      leave(url) {
        inits.splice(
          inits.findIndex((each) => each.url === url),
          1,
        )
        for (const { upstream } of proxies) upstream.replace(inits.map(targetOf))
      },
    }
    for (const { at, change } of scenario.changes ?? []) time.after(before + at, () => change(world))
    await time.run(before + scenario.length + patience)
    if (bugs.length > 0) throw bugs[0]
    return { requests, servers: [...servers.values()], upstream: proxies[0].upstream }
  } finally {
    for (const each of ends) each[Symbol.dispose]()
    time.restore()
    Math.random = realRandom
  }
}

const targetOf = ({ url, weight = 1, priority = 0 }) => ({ url, weight, priority })

/** One proxy: what it knows of the targets is its own. */
function proxyOf({ servers, targets, policy, setting, seed, time, ask, ends }) {
  const clock = () => time.now
  const upstream = createUpstream({ ...setting.upstream, name: 'sim', targets }, 'sim', clock)
  const own = { random: chance(seed + 1), clock }
  const proxy = { upstream, servers, ...own, policy: policy(own), layers: [] }
  ends.push(...around(proxy, setting))
  const balanced = balance(upstream, proxy.policy, { ...setting.balance, ...own })(ask)
  return { upstream, handler: proxy.layers.reduce((next, layer) => layer(next), balanced) }
}

async function send(request, handler, time, before) {
  const ctx = new SimContext(request)
  const leaving = time.after(patience, () => ctx.end('client-left'))
  try {
    const reply = await handler(ctx)
    request.status = reply.status
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error
    // A bug of the policy is the run's end, and no figure.
    if (error.code === 'proxy_internal_error') throw error.cause instanceof Error ? error.cause : error
    request.status = error.status
  }
  time.cancel(leaving)
  request.end = time.now - before
  ctx.end('done')
}

/** What forward() makes of a server: its answer, or an error, and at once an end when nobody waits any more. */
function answer(server, ctx) {
  return new Promise((resolve, reject) => {
    const asked = server.ask(ctx.request.work)
    asked.answer.then(
      (status) => resolve({ status, headers: [], body: null }),
      (cause) => reject(new ProxyError('connection_refused', { cause })),
    )
    ctx.onClose(({ kind, error }) => {
      if (kind === 'done') return
      asked.drop()
      reject(error ?? new ProxyError('client_left'))
    })
  })
}
