import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { ProxyError } from '@sluice/core'
import { createUpstream, hasOther, isWithdrawn, type Target } from '@sluice/upstream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Deadline, Deadlines } from './deadlines.js'
import type { WireConnection } from './wire-connection.js'
import type { WireExchange } from './wire-exchange.js'
import { type Connector, WirePool } from './wire-pool.js'

/** As much of a socket as a pool sees, with ends that come when the test says so. */
class FakeSocket extends EventEmitter {
  destroyed = false
  readable = true
  writable = true
  constructor(private readonly ends: (() => void)[]) {
    super()
  }
  destroy(): this {
    if (this.destroyed) return this
    this.destroyed = true
    this.ends.push(() => this.emit('close'))
    return this
  }
  unref(): void {}
  ref(): void {}
}

/** A request of a client that behaves as the test says. */
class FakeExchange {
  readonly method = 'GET'
  readonly upgrade = false
  readonly tunnels = false
  readonly again = false
  readonly safe = true
  readonly attempt: {
    readonly timeouts: { readonly connect: number; readonly head: number }
    readonly target: Target
    readonly movable: boolean
  }
  declare waitsSince?: number
  gone = false
  gaveUp = false
  slow = 0
  connection: WireConnection | undefined = undefined
  constructor(
    private readonly world: World,
    public awaitsBody: boolean,
  ) {
    this.attempt = {
      timeouts: { connect: 1_000, head: 5_000 },
      target: world.target,
      get movable() {
        return hasOther(world.target)
      },
    }
  }
  get uploads(): boolean {
    return this.awaitsBody
  }
  slowFor(): number {
    return this.slow
  }
  start(connection: WireConnection): void {
    const { target, movable } = this.attempt
    // For whom a connection is being opened, it is on its way.
    const opening = !connection.kept || this.world.opens.length > 0
    if (!opening && this.waitsSince !== undefined && isWithdrawn(target) && movable)
      this.world.broken.push(
        'a request that another target would have is sent from the line of one that gets no more',
      )
    this.connection = connection
  }
  giveUp(): void {
    this.gaveUp = true
    this.connection?.fail(new Error('gave up'))
  }
  failed(error: Error): void {
    const { code } = error as ProxyError
    if (code !== undefined) this.world.left.push(code)
    if (code === 'connection_timeout' && !this.attempt.movable) this.world.broken.push('it has nowhere to go')
    if (code === 'proxy_overloaded' && this.waited < 5_000) this.world.broken.push('it could have waited on')
    this.over()
  }
  /** In line, in ms. */
  get waited(): number {
    return this.world.now - (this.waitsSince ?? this.world.now)
  }
  /** Its body is whole. */
  sent(): void {
    this.awaitsBody = false
    this.world.pool.bodyOver(this as unknown as WireExchange)
  }
  complete(kept: boolean): void {
    const { connection } = this
    this.over()
    if (kept) connection?.giveBack()
    else connection?.discard()
  }
  leave(): void {
    if (this.connection !== undefined) return this.connection.fail(new Error('left'))
    this.world.pool.forget(this as unknown as WireExchange)
    this.over()
  }
  private over(): void {
    this.gone = true
    this.connection = undefined
    this.world.pool.bodyOver(this as unknown as WireExchange)
  }
}

/** One hand for all of a pool's deadlines. */
class HandDeadlines {
  readonly set = (deadline: Deadline, ms: number): number => {
    deadline.at = ms === 0 ? Number.POSITIVE_INFINITY : this.time + ms
    this.all.add(deadline)
    return this.time
  }
  readonly now = (): number => this.time
  private readonly all = new Set<Deadline>()
  time = 0
  clear(deadline: Deadline): void {
    deadline.at = Number.POSITIVE_INFINITY
  }
  drop(deadline: Deadline): void {
    this.all.delete(deadline)
  }
  pass(ms: number): void {
    for (const until = this.time + ms; this.time < until; ) {
      this.time = Math.min(this.time + 250, until)
      for (const each of [...this.all]) {
        if (each.at > this.time) continue
        each.at = Number.POSITIVE_INFINITY
        each.expired()
      }
    }
  }
}

class World {
  readonly ends: (() => void)[] = []
  readonly opens: (() => void)[] = []
  readonly exchanges: FakeExchange[] = []
  open = 0
  most = 0
  emptied = 0
  /** A request has just been picked for the target. */
  entering = false
  readonly broken: string[] = []
  readonly left: string[] = []
  readonly upstream = createUpstream({ name: 'x', targets: ['http://a', 'http://b'] })
  readonly target = this.upstream.all[0] as Target
  readonly deadlines = new HandDeadlines()
  readonly pool: WirePool

  constructor(readonly limit: number) {
    const connector: Connector = {
      host: 'a',
      perExchange: false,
      secure: false,
      connect: (connection, _plain, _timeout, _client, done) => {
        if (!this.entering && isWithdrawn(this.target) && hasOther(this.target))
          this.broken.push('a connection is opened for the line of one that gets no more')
        this.open++
        this.most = Math.max(this.most, this.open)
        const socket = new FakeSocket(this.ends)
        socket.on('close', () => this.open--)
        this.opens.push(() => {
          connection.open(socket as unknown as Socket)
          done(socket as unknown as Socket)
        })
      },
    }
    const { deadlines } = this
    const limits = { connections: limit, idle: 0 }
    this.pool = new WirePool(connector, limits, deadlines as unknown as Deadlines, () => {
      this.emptied++
    })
    // Alone: nobody has anywhere to go, before a test says so.
    this.toggle('http://b')
  }

  get now(): number {
    return this.deadlines.time
  }

  /** Drains a target, or takes that back. */
  toggle(id: string): void {
    const target = this.upstream.all.find(({ url }) => url.startsWith(id)) as Target
    if (target.state === 'draining') this.upstream.undrain(target.id)
    else this.upstream.drain(target.id)
  }

  /** Time has passed, and all that was under way has come. */
  get lateFaults(): string[] {
    const waiting = this.live.filter(({ connection }) => connection === undefined)
    const { target } = this
    const faults = [...this.broken]
    if (hasOther(target) && isWithdrawn(target) && waiting.length > 0)
      faults.push('it waits for one that gets no more')
    if (hasOther(target) && waiting.some(({ waited }) => waited > 1_250)) faults.push('it waits too long')
    if (waiting.some(({ waited }) => waited > 5_250)) faults.push('it waits for ever')
    return faults
  }

  send(awaitsBody: boolean): void {
    const exchange = new FakeExchange(this, awaitsBody)
    this.exchanges.push(exchange)
    this.entering = true
    this.pool.send(exchange as unknown as WireExchange)
    this.entering = false
  }

  get live(): FakeExchange[] {
    return this.exchanges.filter(({ gone }) => !gone)
  }

  get running(): FakeExchange[] {
    return this.live.filter(({ connection }) => connection !== undefined)
  }

  /** All that is under way has come. */
  settle(): void {
    while (this.ends.length + this.opens.length > 0) {
      for (const fn of this.ends.splice(0)) fn()
      for (const fn of this.opens.splice(0)) fn()
    }
  }

  /** What is wrong once all that was under way has come. */
  get faults(): string[] {
    const bodiesAtMost = Math.max(this.limit - Math.ceil(this.limit / 4), 1)
    const { live, running } = this
    const bodies = running.filter(({ awaitsBody }) => awaitsBody).length
    const waiting = live.filter(({ connection }) => connection === undefined)
    const full = running.length === this.limit
    const faults = [...this.broken]
    if (this.most > this.limit) faults.push('more connections than the limit')
    if (bodies > bodiesAtMost) faults.push('more bodies to come than their share')
    if (!full && waiting.some(({ awaitsBody }) => !awaitsBody)) faults.push('a whole request waits')
    if (!full && bodies < bodiesAtMost && waiting.length > 0) faults.push('a body waits')
    return faults
  }
}

type Step = {
  readonly do: 'get' | 'post' | 'sent' | 'done' | 'leave' | 'slow' | 'settle' | 'drain' | 'other' | 'time'
  readonly at: number
}

describe('WirePool', () => {
  it('never opens more than its limit, keeps a quarter for whole requests, loses nobody, and lets go who is served elsewhere', () => {
    const step: fc.Arbitrary<Step> = fc.record({
      do: fc.constantFrom(
        ...(['get', 'get', 'post', 'post', 'sent', 'done', 'leave', 'slow', 'settle'] as const),
        ...(['drain', 'other', 'time'] as const),
      ),
      at: fc.nat(1_000),
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { maxLength: 80, size: 'max' }),
        (limit, steps) => {
          const world = new World(limit)
          const pick = (from: readonly FakeExchange[], at: number): FakeExchange | undefined =>
            from[at % Math.max(from.length, 1)]
          for (const { do: what, at } of steps) {
            const { live, running } = world
            if (what === 'get' || what === 'post') world.send(what === 'post')
            else if (what === 'sent')
              pick(
                running.filter(({ awaitsBody }) => awaitsBody),
                at,
              )?.sent()
            else if (what === 'done') pick(running, at)?.complete(at % 2 === 0)
            else if (what === 'leave') pick(live, at)?.leave()
            else if (what === 'drain') world.toggle('http://a')
            else if (what === 'other') world.toggle('http://b')
            else if (what === 'time') {
              world.settle()
              world.deadlines.pass(250 * (1 + (at % 24)))
              world.settle()
              expect(world.lateFaults).toEqual([])
            } else if (what === 'slow') {
              const slow = pick(running, at)
              if (slow !== undefined) slow.slow = at + 1
            } else {
              world.settle()
              expect(world.faults).toEqual([])
            }
          }
          for (let left = Number.POSITIVE_INFINITY; world.live.length > 0; ) {
            world.settle()
            expect(world.faults).toEqual([])
            expect(world.live.length).toBeLessThan(left)
            left = world.live.length
            for (const each of world.running) each.complete(true)
          }
          world.pool.close(false)
          world.settle()
          expect(world.open).toBe(0)
          expect(world.emptied).toBeGreaterThan(0)
        },
      ),
    )
  })

  it('keeps those in line whose target gets no more requests until another would have them', () => {
    const world = new World(2)
    for (let i = 0; i < 5; i++) world.send(i === 4)
    world.settle()
    world.toggle('http://a')
    world.deadlines.pass(4_000)
    world.exchanges[0]?.complete(true)
    world.settle()
    expect([world.running.length, world.live.length, world.left]).toEqual([2, 4, []])
    world.toggle('http://b')
    world.exchanges[1]?.complete(true)
    expect([world.running.length, world.live.length, world.left]).toEqual([
      1,
      1,
      ['connection_timeout', 'connection_timeout'],
    ])
  })

  it('lets those go after the connect timeout that another target would have, those with bodies to come too', () => {
    const world = new World(2)
    world.toggle('http://b')
    for (let i = 0; i < 2; i++) world.send(i === 0)
    world.settle()
    world.send(true)
    world.send(false)
    world.deadlines.pass(750)
    expect([world.live.length, world.left]).toEqual([4, []])
    world.deadlines.pass(500)
    expect([world.live.length, world.left]).toEqual([2, ['connection_timeout', 'connection_timeout']])
  })

  it('ends who has waited as long as for an answer with nowhere to go, and nobody for whom a connection is being opened', () => {
    const world = new World(2)
    world.send(false)
    world.send(false)
    world.send(false)
    world.deadlines.pass(6_000)
    expect([world.live.length, world.left]).toEqual([2, ['proxy_overloaded']])
    world.settle()
    expect(world.running.length).toBe(2)
  })

  it('lets slow ones be while nobody waits, and ends one for each that does, the slowest first', () => {
    const world = new World(4)
    for (let i = 0; i < 4; i++) world.send(false)
    world.settle()
    world.exchanges.forEach((each, i) => {
      each.slow = 1_000 * (i + 1)
    })
    const gaveUp = (): boolean[] => world.exchanges.map(({ gaveUp: up }) => up)
    world.settle()
    expect(gaveUp()).toEqual([false, false, false, false])
    world.send(false)
    world.send(false)
    expect(gaveUp()).toEqual([false, false, true, true, false, false])
    world.settle()
    expect(world.running.length).toBe(4)
    expect(gaveUp()).toEqual([false, false, true, true, false, false])
  })
})
