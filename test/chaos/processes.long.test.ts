import { type Agent, Agent as HttpAgent, request } from 'node:http'
import type { Target, Upstream } from '@sluice/upstream'
import { createProxy, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'
import { OriginProcess } from './origin-process.js'
import { WatchedTraffic } from './watched-traffic.js'

trapUnhandled()
const own = owner()

/** What became of a request, as its client sees it. */
interface Outcome {
  readonly path: string
  readonly method: string
  /** The status, or how it ended before there was one. */
  readonly head: number | string
  /** The body is whole. */
  readonly whole: boolean
  /** From the request to the end of its answer. */
  readonly ms: number
}

/** How long a target may take to answer, in ms. */
const headWithin = 1_000

function ask(port: number, agent: Agent, method: string, path: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const began = performance.now()
    const done = (head: Outcome['head'], whole: boolean): void =>
      resolve({ path, method, head, whole, ms: performance.now() - began })
    const call = request({
      port,
      agent,
      method,
      path,
      headers: method === 'POST' ? { 'content-length': 4 } : {},
    })
    call.on('response', (res) => {
      let text = ''
      const end = (): void => done(res.statusCode ?? 0, res.complete && text === 'first part, second part')
      res.setEncoding('latin1')
      res.on('data', (part: string) => {
        text += part
      })
      res.on('end', end)
      res.on('error', end)
    })
    call.on('error', (error) => done(error.message, false))
    call.end(method === 'POST' ? 'body' : undefined)
  })
}

/** Clients that ask one after the other until they are told to stop: one in five of their requests is a POST. */
class Load {
  readonly outcomes: Outcome[] = []
  asked = 0
  private going = true
  private readonly agent = new HttpAgent({ keepAlive: true })
  private readonly clients: Promise<void>[]

  constructor(
    private readonly port: number,
    count = 20,
  ) {
    this.clients = Array.from({ length: count }, () => this.client())
  }

  /** Waits until so many more have been answered. */
  async more(count: number): Promise<void> {
    const from = this.outcomes.length
    await until(() => this.outcomes.length >= from + count, `${count} more answers`, 60_000)
  }

  async stop(): Promise<void> {
    this.going = false
    await Promise.all(this.clients)
    this.agent.destroy()
  }

  private async client(): Promise<void> {
    while (this.going) {
      const n = this.asked++
      this.outcomes.push(await ask(this.port, this.agent, n % 5 === 4 ? 'POST' : 'GET', `/${n}`))
    }
  }
}

const scenarios: Record<string, (origins: readonly OriginProcess[], load: Load) => Promise<void>> = {
  async 'one is killed'([victim], load) {
    for (let i = 0; i < 5; i++) {
      await victim?.fall()
      await load.more(300)
      await victim?.rise()
      await load.more(300)
    }
  },
  async 'one is stopped'([victim], load) {
    victim?.signal('SIGSTOP')
    // Until the first have waited in vain for it, and were served by another.
    await until(() => load.outcomes.some(({ ms }) => ms > headWithin), 'a request that had to wait')
    await load.more(1_000)
    victim?.signal('SIGCONT')
    await load.more(300)
  },
  async 'every connection of one is reset'([victim], load) {
    await victim?.become('reset')
    await load.more(1_000)
    await victim?.become('ok')
    await load.more(300)
  },
  async 'one answers 503'([victim], load) {
    await victim?.become('503')
    await load.more(1_000)
    await victim?.become('ok')
    await load.more(300)
  },
  async 'one is slow by 5 s'([victim], load) {
    await victim?.become('slow')
    await load.more(1_000)
    await victim?.become('ok')
    await load.more(300)
  },
  async 'all are restarted in turn'(origins, load) {
    for (let round = 0; round < 3; round++) {
      for (const origin of origins) {
        await origin.fall()
        await load.more(100)
        await origin.rise()
        await load.more(100)
      }
    }
  },
}

/** Those whose first target is refused or reset. */
const losesConnects = ['one is killed', 'every connection of one is reset', 'all are restarted in turn']

/** A proxy in front of three origins, under load, with an eye on where its tries go. */
async function site(options: Partial<UpstreamOptions> = {}) {
  const origins = [own(new OriginProcess()), own(new OriginProcess()), own(new OriginProcess())]
  for (const origin of origins) await origin.rise()
  const proxy = createProxy({
    upstreams: {
      default: {
        targets: origins.map(({ url }) => url),
        retry: { attempts: 3, statuses: [503] },
        ...options,
      },
    },
    timeouts: { connect: headWithin, head: headWithin, body: '2s' },
  })
  const upstream = proxy.upstreams.get('default') as Upstream
  const traffic = own(new WatchedTraffic(upstream))
  const { port } = await proxy.listen()
  own({ close: () => proxy.close({ drain: 0 }) })
  const load = new Load(port)
  await load.more(300)
  return { origins, upstream, traffic, load }
}

describe('three origins, each a process of its own', () => {
  it.each(Object.entries(scenarios))(
    '%s: no GET fails, what is cut in the middle is seen to be, and no POST is processed twice',
    async (name, happens) => {
      const { origins, upstream, traffic, load } = await site()
      await happens(origins, load)
      await load.stop()

      const gets = load.outcomes.filter(({ method }) => method === 'GET')
      // Before its head was relayed none may fail.
      expect(gets.filter(({ head }) => head !== 200)).toEqual([])
      // After it the connection is cut, which `complete` shows: never a clean end of half a body.
      const cut = gets.filter(({ whole }) => !whole)
      expect(cut.length).toBeLessThan(gets.length / 20)
      const done = origins.flatMap((origin) => origin.done)
      expect(done.length - new Set(done).size, 'POSTs that were processed twice').toBe(0)
      // A POST that was answered 200 was processed, and by one that said so.
      const answered = load.outcomes.filter(({ method, head }) => method === 'POST' && head === 200)
      expect(answered.filter(({ path }) => !done.includes(path))).toEqual([])
      expect(answered.length).toBeGreaterThan(100)
      // Who refuses or resets is left within one failed try.
      expect(traffic.endured, 'lost connects that left their target in use').toEqual([])
      expect(traffic.strays, 'tries at a target that was out').toEqual([])
      if (losesConnects.includes(name))
        expect(traffic.losses.get(upstream.all[0] as Target)).toBeGreaterThan(0)
    },
    120_000,
  )

  it('one that is back gets a growing part of its share', async () => {
    // In turn, so that it is the ramp alone that decides, and not how quick a process is that has just begun.
    const { origins, upstream, traffic, load } = await site({
      balance: 'round-robin',
      // Lost connects alone take it out, and for a moment: enough of the answers that its fall cuts would do so for long.
      ejection: { ramp: '4s', localBase: '500ms', consecutive: 1_000 },
    })
    const [victim] = origins as [OriginProcess]
    const [target] = upstream.all as [Target]
    await victim.fall()
    await until(() => traffic.losses.has(target), 'the target to be taken out')
    await victim.rise()
    // Its first answer: what it was asked before it listened may have taken it out once more.
    await until(() => (traffic.answered.get(target) ?? 0) > 0 && target.state !== 'ejected', 'its return')
    await until(() => upstream.now() - target.since > 4_000, 'the end of the ramp')
    await load.more(1_000)
    await load.stop()
    expect([traffic.endured, traffic.strays]).toEqual([[], []])
    // From a tenth to a quarter of its third in the ramp's first quarter, all of it afterwards.
    const early = traffic.share(target, 0, 1_000)
    expect(early.its, `of ${early.all} tries`).toBeLessThan(5 + early.all / 6)
    const late = traffic.share(target, 4_000, Number.POSITIVE_INFINITY)
    expect(late.its, `of ${late.all} tries`).toBeGreaterThan(late.all / 4)
  })
})
