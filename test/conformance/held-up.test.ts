import { Worker } from 'node:worker_threads'
import { createProxy, type UpstreamOptions } from 'sluice'
import { expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** The limit that each case is about, in ms. */
const limit = 500

/** A thread of its own, since it has to answer while this one is held up: `/held` when that is so, all else at once. */
const target = `
const { parentPort, workerData: { flags, module } } = require('node:worker_threads')
const server = require(module).createServer((req, res) => {
  if (req.url !== '/held') return res.end('here')
  req.resume().on('end', () => {
    parentPort.postMessage({ asked: true })
    Atomics.wait(flags, 0, 0)
    res.end('in time', () => {
      Atomics.store(flags, 1, 1)
      Atomics.notify(flags, 1)
    })
  })
})
server.listen(0, '127.0.0.1', () => parentPort.postMessage({ port: server.address().port }))
`

/** A target whose `/held` is answered while the loop of this process stands still, for longer than the limit. */
async function heldUp(module: 'node:http' | 'node:http2' = 'node:http') {
  const flags = new Int32Array(new SharedArrayBuffer(8))
  const worker = new Worker(target, { eval: true, workerData: { flags, module } })
  own({ close: async () => void (await worker.terminate()) })
  const came = { port: 0, asked: 0 }
  worker.on('message', (message: { port?: number; asked?: true }) => {
    if (message.port !== undefined) came.port = message.port
    if (message.asked === undefined) return
    came.asked++
    if (came.asked > 1) return
    const end = performance.now() + 1.5 * limit
    Atomics.store(flags, 0, 1)
    Atomics.notify(flags, 0)
    expect(Atomics.wait(flags, 1, 0, 10_000)).not.toBe('timed-out')
    while (performance.now() < end);
  })
  await until(() => came.port > 0, 'the target to listen')
  return { came, url: `http://127.0.0.1:${came.port}` }
}

const cases: Record<string, Partial<UpstreamOptions>> = {
  'timeouts.head': { timeouts: { head: limit } },
  'timeouts.total': { timeouts: { total: limit } },
  'timeouts.head over HTTP/2': { timeouts: { head: limit }, http2: 'prior-knowledge' },
  'retry.perTry': { retry: { perTry: limit } },
  'retry.total': { retry: { total: limit } },
  'hedge.after': { hedge: { after: limit } },
}

it.each(Object.entries(cases))(
  '%s: an answer that came while this process was held up is no late one',
  async (_name, options) => {
    const { came, url } = await heldUp(options.http2 === undefined ? 'node:http' : 'node:http2')
    const proxy = createProxy({
      upstreams: { site: { targets: [url, url.replace('127.0.0.1', 'localhost')], ...options } },
    })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen()
    const client = own(httpClient({ port }))
    // What is done for the first time takes longer.
    for (let i = 0; i < 4; i++) await client.ask({ path: '/' })
    // One that is sent again is none that its client asks for twice.
    const method = options.hedge === undefined ? 'POST' : 'GET'
    expect(await client.ask({ method, path: '/held' })).toMatchObject({
      status: 200,
      text: 'in time',
    })
    expect(came.asked).toBe(1)
    expect(proxy.upstreams.get('site')?.all.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
  },
)

it('access.forwardAuth: an answer of the service that came meanwhile counts', async () => {
  const { came, url } = await heldUp()
  const proxy = createProxy({
    upstreams: { site: url },
    access: { forwardAuth: { url: `${url}/held`, timeout: limit } },
  })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  expect(await client.ask()).toMatchObject({ status: 200, text: 'here' })
  expect(came.asked).toBe(1)
})

it('health: a probe whose answer came meanwhile has passed', async () => {
  const { came, url } = await heldUp()
  const proxy = createProxy({
    upstreams: { site: { targets: [url], health: { path: '/held', timeout: limit } } },
  })
  own({ close: () => proxy.close({ drain: 0 }) })
  const states: string[] = []
  proxy.upstreams.get('site')?.on('state', ({ to, reason }) => void states.push(`${to}: ${reason}`))
  await until(() => states.length > 0, 'the first verdict')
  expect(states).toEqual(['healthy: probe passed'])
  expect(came.asked).toBe(1)
})
