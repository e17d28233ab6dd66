import type { Reply } from '@sluice/core'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import type { WrittenBody } from '../../../test/kit/attempt.js'
import { answered, CacheRig, type FetchCall, settled } from '../../../test/kit/cache-rig.js'
import { type Step, step } from '../../../test/kit/cache-steps.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { createCache } from './create-cache.js'
import { Flights } from './flights.js'

trapUnhandled()

/** Fetches that are on their way, of all caches. */
const flying = new Set<unknown>()
for (const [begin, end] of [
  ['add', 'remove'],
  ['watch', 'unwatch'],
] as const) {
  const { [begin]: add, [end]: remove } = Flights.prototype
  Flights.prototype[begin] = function (one: never) {
    flying.add(one)
    add.call(this, one)
  }
  Flights.prototype[end] = function (one: never) {
    flying.delete(one)
    remove.call(this, one)
  }
}

/** A call, and when it was made. */
interface Made {
  readonly call: FetchCall
  readonly asked: Asked
  readonly tick: number
  readonly sentAt: number
}
interface Asked {
  readonly id: number
  readonly tick: number
  readonly step: Step & { do: 'ask' }
  /** Before all steps of this number it was over. */
  end: 'open' | 'done' | 'error' | 'broken'
  /** The target itself has told it that what it has is good. */
  confirmed?: boolean
}
/** One version that the target has made. */
interface Version {
  readonly n: number
  readonly made: Made
  readonly path: string
  readonly text: string
  readonly shared: boolean
  /** What has been said of it: by itself, and by each 304. */
  readonly said: string[]
  lasts: number
  /** Since when it counts as new, and the fetch that last said so. */
  bornAt: number
  tick: number
  /** Its body breaks, so others may get a piece of it. */
  breaks: boolean
}

class Model {
  readonly rig = new CacheRig(createCache, { staleIfDisconnected: 0 })
  readonly versions: Version[] = []
  readonly asked: Asked[] = []
  readonly bodies: { body: WrittenBody; version: Version; left: string[] }[] = []
  readonly purges: { tick: number; path: string; soft: boolean }[] = []
  readonly faults: string[] = []
  pending: Made[] = []
  tick = 0
  #seen = 0

  async run(steps: readonly Step[]): Promise<void> {
    for (const one of steps) await this.take(one)
    // Then all goes its way.
    for (let i = 0; i < 200 && this.asked.some(({ end }) => end === 'open'); i++) {
      if (this.bodies.length > 0) await this.take({ do: 'end', at: 0 })
      else
        await this.take({
          do: 'answer',
          at: 0,
          status: 200,
          said: '',
          lasts: 10,
          whole: true,
          unnamed: false,
        })
    }
    while (this.pending.length > 0) await this.take({ do: 'fail', at: 0 })
    while (this.bodies.length > 0) await this.take({ do: 'end', at: 0 })
    await settled()
    for (const { end, id } of this.asked) if (end === 'open') this.faults.push(`request ${id} never ends`)
    this.rig.close()
    if (flying.size > 0) this.faults.push(`${flying.size} fetches never end`)
    flying.clear()
    if (this.faults.length > 0) throw new Error(this.faults.join('\n'))
  }

  async take(one: Step): Promise<void> {
    this.tick++
    switch (one.do) {
      case 'ask':
        this.ask(one)
        break
      case 'answer':
        this.answer(one)
        break
      case 'fail':
        this.out(this.pending, one.at)?.call.fail(new Error('down'))
        break
      case 'write':
      case 'end':
      case 'break':
        this.flow(one)
        break
      case 'pass':
        this.rig.now += one.ms
        break
      case 'slow':
        this.rig.store.slow = one.slow
        break
      case 'trouble':
        if (one.kind === undefined) this.rig.store.trouble.clear()
        else this.rig.store.trouble.set(one.method, one.kind)
        break
      case 'purge': {
        const url = `http://a.example${one.path}`
        await this.rig.cache.purge(one.by === 'tag' ? { tag: one.path } : { [one.by]: url }, {
          soft: one.soft,
        })
        this.purges.push({ tick: this.tick, path: one.path, soft: one.soft })
      }
    }
    await settled()
    this.look()
  }

  /** Fetches that were made meanwhile. */
  look(): void {
    const { calls } = this.rig
    for (; this.#seen < calls.length; this.#seen++) {
      const call = calls[this.#seen] as FetchCall
      const asked = this.asked[Number(call.arg)] as Asked
      this.pending.push({ call, asked, tick: this.tick, sentAt: this.rig.now })
    }
  }

  out<T>(list: T[], index: number): T | undefined {
    return list.length === 0 ? undefined : list.splice(index % list.length, 1)[0]
  }

  ask(one: Step & { do: 'ask' }): void {
    const asked: Asked = { id: this.asked.length, tick: this.tick, step: one, end: 'open' }
    this.asked.push(asked)
    const headers = ['X-Kind', one.kind]
    if (one.said !== '') headers.push('Cache-Control', one.said)
    if (one.range !== '') headers.push('Range', one.range)
    if (one.user) headers.push('Authorization', `user ${asked.id}`)
    const last = this.versions.at(-1)
    if (one.known && last !== undefined) headers.push('If-None-Match', `"${last.n}"`)
    const options = {
      method: one.method,
      headers,
      who: String(asked.id),
      body: one.method === 'POST' ? 'x' : null,
    }
    this.rig.ask(one.path, options).then(
      (reply) => this.replied(asked, reply),
      () => {
        asked.end = 'error'
      },
    )
  }

  answer(one: Step & { do: 'answer' }): void {
    const made = this.out(this.pending, one.at)
    if (made === undefined) return
    const { call, asked } = made
    const { fetch } = call
    const field = (name: string) =>
      fetch.headers.includes(name) ? fetch.headers[fetch.headers.indexOf(name) + 1] : undefined
    const said = `max-age=${one.lasts}${one.said === '' ? '' : `, ${one.said}`}`
    const { path: where } = asked.step
    const common = ['Cache-Control', said, 'Cache-Tag', where]
    if (where === '/varies') common.push('Vary', 'X-Kind')
    if (fetch.method === 'POST') {
      call.answer(one.status === 200 ? 200 : 500, [])
      return
    }
    const known = this.versions.find(({ n }) => field('If-None-Match') === `"${n}"`)
    const same = known?.path === where && (fetch.shared || known.made.asked.step.kind === asked.step.kind)
    if (one.status === 304 && known !== undefined && same) {
      asked.confirmed = true
      // The client's own condition isn't the cache's.
      if (fetch.shared && known.shared && !/private|no-store/.test(one.said)) {
        if (made.sentAt >= known.bornAt) known.bornAt = made.sentAt
        known.said.push(one.said)
        known.lasts = Math.max(known.lasts, one.lasts)
        known.tick = Math.max(known.tick, made.tick)
      }
      call.answer(304, [...common, 'ETag', `"${known.n}"`])
      return
    }
    const status = one.status === 304 ? 200 : one.status
    if (status === 503) return call.answer(503, [], 'down')
    const n = this.versions.length + 1
    const text = `n${n}.`.repeat(20).slice(0, 20)
    // RFC 9111 section 3.5.
    const forAll = !asked.step.user || one.said === 'must-revalidate'
    const shared = fetch.shared && forAll && !/private|no-store/.test(one.said)
    const version: Version = {
      ...{ n, made, path: where, text, shared, said: [one.said], lasts: one.lasts },
      ...{ bornAt: made.sentAt, tick: made.tick, breaks: false },
    }
    this.versions.push(version)
    const headers = [...common, 'X-N', String(n), 'ETag', `"${n}"`]
    if (!one.unnamed) headers.push('Content-Length', '20')
    if (fetch.method === 'HEAD') call.answer(status, headers)
    else if (one.whole) call.answer(status, headers, text)
    else {
      const body = call.open(status, headers)
      this.bodies.push({ body, version, left: [text.slice(0, 7), text.slice(7)] })
    }
  }

  flow(one: Step & { do: 'write' | 'end' | 'break' }): void {
    const index = one.at % Math.max(1, this.bodies.length)
    const flowing = this.bodies[index]
    if (flowing === undefined) return
    const { body, left, version } = flowing
    if (one.do === 'write') {
      const part = left.shift()
      if (part !== undefined) body.write(part)
      return
    }
    this.bodies.splice(index, 1)
    if (one.do === 'break') {
      version.breaks = true
      body.break(new Error('gone'))
      return
    }
    for (const part of left) body.write(part)
    body.done()
  }

  async replied(asked: Asked, reply: Reply): Promise<void> {
    const { now } = this.rig
    const { step: wanted } = asked
    const { headers, status } = reply
    const of = (name: string) => headers[headers.findIndex((field, i) => i % 2 === 0 && field === name) + 1]
    const n = status === 304 ? of('ETag')?.replaceAll('"', '') : of('X-N')
    const version = headers.includes('X-N') || status === 304 ? this.versions[Number(n) - 1] : undefined
    const told = of('Cache-Status') ?? ''
    if (version !== undefined && wanted.method !== 'POST') this.judge(asked, version, told, now)
    if (wanted.method === 'POST' && status === 200)
      this.purges.push({ tick: this.tick, path: wanted.path, soft: false })
    const read = await answered(reply).catch(() => undefined)
    asked.end = read === undefined ? 'broken' : 'done'
    if (read === undefined) {
      if (version?.breaks !== true) this.faults.push(`${asked.id}: broken off, though its source was whole`)
    } else if (version !== undefined && status !== 304 && wanted.method === 'GET') {
      const range = /^bytes (\d+)-(\d+)\/20$/.exec(of('Content-Range') ?? '')
      const expected =
        range === null ? version.text : version.text.slice(Number(range[1]), Number(range[2]) + 1)
      if (status === 206 && range === null) this.faults.push(`${asked.id}: 206 without a range`)
      if (read.text !== expected) this.faults.push(`${asked.id}: ${read.text} in the place of ${expected}`)
    }
  }

  judge(asked: Asked, version: Version, told: string, now: number): void {
    const { id, step: wanted, tick } = asked
    const wrong = (what: string) => this.faults.push(`${id} got ${version.n} (${told}): ${what}`)
    const mine = version.made.asked === asked
    if (version.path !== wanted.path) wrong('another resource')
    if (wanted.path === '/varies' && version.made.asked.step.kind !== wanted.kind) wrong('another variant')
    if (!version.shared && !mine && !told.includes('fwd-status=304')) wrong('not for it')
    const hit = told.includes('hit')
    const isStale = /detail=stale/.test(told)
    const age = now - version.bornAt
    if ((hit || told.includes('collapsed')) && !isStale) {
      if (age >= version.lasts * 1000) wrong(`age ${age} of ${version.lasts} s`)
      if (version.said.every((said) => said === 'no-cache')) wrong('without asking')
      if (/no-cache|max-age=0/.test(wanted.said)) wrong('wants its own')
      if (wanted.said === 'max-age=5' && age > 5000) wrong(`older than 5 s: ${age}`)
      if (wanted.said === 'min-fresh=5' && version.lasts * 1000 - age < 5000) wrong('not fresh for 5 s')
    }
    if (isStale && version.said.every((said) => /must-revalidate|no-cache/.test(said)))
      wrong('stale, though that is forbidden')
    for (const purge of asked.confirmed === true ? [] : this.purges) {
      if (purge.path !== wanted.path || purge.tick >= tick || mine) continue
      if (version.tick >= purge.tick || (purge.soft && isStale)) continue
      if (version.made.tick < purge.tick)
        wrong(`purged ${purge.soft ? 'softly ' : ''}before it was asked for`)
    }
  }
}

describe('whatever happens in whatever order', () => {
  it('no bytes of two versions are mixed, nothing private reaches another, nothing is older than allowed or from before a purge, and all end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        await new Model().run(steps)
      }),
      { numRuns: Number(process.env['RUNS'] ?? 150) },
    )
  })
})
