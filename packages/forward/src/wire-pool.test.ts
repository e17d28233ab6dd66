import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Deadlines } from './deadlines.js'
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
  readonly attempt = { timeouts: { connect: 0 } }
  gone = false
  gaveUp = false
  slow = 0
  connection: WireConnection | undefined = undefined
  constructor(
    private readonly world: World,
    public awaitsBody: boolean,
  ) {}
  get uploads(): boolean {
    return this.awaitsBody
  }
  slowFor(): number {
    return this.slow
  }
  start(connection: WireConnection): void {
    this.connection = connection
  }
  giveUp(): void {
    this.gaveUp = true
    this.connection?.fail(new Error('gave up'))
  }
  failed(): void {
    this.over()
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

class World {
  readonly ends: (() => void)[] = []
  readonly opens: (() => void)[] = []
  readonly exchanges: FakeExchange[] = []
  open = 0
  most = 0
  emptied = 0
  readonly pool: WirePool

  constructor(readonly limit: number) {
    const connector: Connector = {
      host: 'a',
      perExchange: false,
      connect: (connection, _plain, _timeout, _client, done) => {
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
    this.pool = new WirePool(connector, { connections: limit, idle: 0 }, new Deadlines(() => 0), () => {
      this.emptied++
    })
  }

  send(awaitsBody: boolean): void {
    const exchange = new FakeExchange(this, awaitsBody)
    this.exchanges.push(exchange)
    this.pool.send(exchange as unknown as WireExchange)
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
    const faults: string[] = []
    if (this.most > this.limit) faults.push('more connections than the limit')
    if (bodies > bodiesAtMost) faults.push('more bodies to come than their share')
    if (!full && waiting.some(({ awaitsBody }) => !awaitsBody)) faults.push('a whole request waits')
    if (!full && bodies < bodiesAtMost && waiting.length > 0) faults.push('a body waits')
    return faults
  }
}

type Step = {
  readonly do: 'get' | 'post' | 'sent' | 'done' | 'leave' | 'slow' | 'settle'
  readonly at: number
}

describe('WirePool', () => {
  it('never opens more than its limit, keeps a quarter for whole requests, and loses nobody', () => {
    const step: fc.Arbitrary<Step> = fc.record({
      do: fc.constantFrom('get', 'get', 'post', 'post', 'sent', 'done', 'leave', 'slow', 'settle'),
      at: fc.nat(1_000),
    })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 80 }), (limit, steps) => {
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
          else if (what === 'slow') {
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
      }),
    )
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
