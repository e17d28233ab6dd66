import { EventEmitter, once } from 'node:events'
import {
  createServer,
  getDefaultAutoSelectFamilyAttemptTimeout,
  type LookupFunction,
  type Socket,
} from 'node:net'
import type { Target, TargetInit } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { ask, targetOf } from '../../../test/kit/attempt.js'
import { testCertificate } from '../../../test/kit/certificate.js'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { http2Origin } from '../../../test/kit/http2-origin.js'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { secureOrigin } from '../../../test/kit/secure-origin.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { AddressPatience, addressPatience } from './address-patience.js'
import { type ConnectHook, dial, http2Transport, type Transport, wireTransport } from './index.js'

trapUnhandled()
const own = owner()

/** What one address has in a process whose Node gives 250 ms; connections have 2 s. */
function learning(nodes = 250, deadline = 2_000) {
  const time = fakeTime()
  const settings = { nodes }
  const patience = new AddressPatience(time.now, () => settings.nodes)
  const target = targetOf('http://app.sluice-test.invalid')
  /** A connection to some addresses that is under way: what each has, and what becomes of it. */
  const connect = (addresses = 2, within = deadline) => {
    const attempts = patience.begin(target, within)
    const socket = new EventEmitter()
    attempts.watch(socket as Socket)
    for (let i = 0; i < addresses; i++) socket.emit('lookup', null, `127.0.0.${i}`, 4, 'app')
    const begin = () => socket.emit('connectionAttempt')
    begin()
    return {
      timeout: attempts.timeout,
      giveUp() {
        time.passAtOnce(attempts.timeout)
        socket.emit('connectionAttemptTimeout')
        begin()
      },
      stand(after: number) {
        time.passAtOnce(after)
        socket.emit('connect')
        socket.emit('close')
        expect(socket.eventNames()).toEqual([])
      },
      fail() {
        socket.emit('close')
        expect(socket.eventNames()).toEqual([])
      },
    }
  }
  /** Some connections on which an address is given up and none stands: what each had. */
  const failing = (times: number) =>
    Array.from({ length: times }, () => {
      const connection = connect()
      connection.giveUp()
      connection.fail()
      return connection.timeout
    })
  return { settings, connect, failing, had: () => connect().timeout }
}

describe('the time of an address', () => {
  it('is twice as long after one was given up and none stood, and Node’s own again where half of the deadline did not help', () => {
    const { failing } = learning()
    expect(failing(7)).toEqual([250, 500, 1_000, 250, 500, 1_000, 250])
  })

  it('stays where no address was given up', () => {
    const { connect, had } = learning()
    connect().fail()
    expect(had()).toBe(250)
  })

  it('is doubled once by connections that fail together', () => {
    const { connect, had } = learning()
    const together = Array.from({ length: 5 }, () => connect())
    for (const each of together) each.giveUp()
    for (const each of together) each.fail()
    expect(had()).toBe(500)
  })

  it('is doubled of what the attempt had: one that began before tells nothing of what was learned or let go since', () => {
    const { connect, failing, had } = learning()
    const first = connect()
    first.giveUp()
    failing(1)
    const second = connect()
    second.giveUp()
    failing(1)
    first.fail()
    expect(had()).toBe(1_000)
    failing(1)
    second.fail()
    expect(had()).toBe(250)
  })

  it('is Node’s own again where there was no time left for the last of many', () => {
    const { connect, had } = learning()
    const failing = (tried: number) => {
      const connection = connect(5)
      for (let i = 1; i < tried; i++) connection.giveUp()
      connection.fail()
      return connection.timeout
    }
    // With Node's own time it wasn't reached either.
    expect(failing(2)).toBe(250)
    expect(failing(4)).toBe(500)
    expect(failing(5)).toBe(250)
    expect(failing(5)).toBe(500)
    expect(had()).toBe(1_000)
  })

  it('is half of what a connection has at most, and of those with less nothing is learned for the others', () => {
    const { connect, had } = learning()
    const quick = () => connect(2, 700)
    const first = quick()
    first.giveUp()
    first.fail()
    expect(quick().timeout).toBe(350)
    const again = connect()
    again.giveUp()
    again.fail()
    expect(had()).toBe(700)
    const second = quick()
    expect(second.timeout).toBe(350)
    second.giveUp()
    second.fail()
    expect(had()).toBe(700)
  })

  it.each([0, 60_000])('is a second at most within %i ms', (deadline) => {
    const { failing } = learning(250, deadline)
    expect(failing(4)).toEqual([250, 500, 1_000, 250])
  })

  it.each([
    [3_000, 2_000],
    [250, 300],
  ])('is never less than the %i ms that the app says, within %i ms', (nodes, deadline) => {
    const { failing } = learning(nodes, deadline)
    expect(failing(3)).toEqual([nodes, nodes, nodes])
  })

  it('is what the app says as soon as that is more', () => {
    const { settings, failing, had } = learning()
    failing(1)
    settings.nodes = 800
    expect(had()).toBe(800)
    settings.nodes = 250
    expect(had()).toBe(500)
  })

  it('falls to what the address needs that stands behind a dead one', () => {
    const { connect, failing, had } = learning()
    failing(2)
    const far = connect()
    far.giveUp()
    far.stand(300)
    expect(had()).toBe(500)
    const farther = connect()
    farther.giveUp()
    farther.stand(700)
    expect(had()).toBe(500)
    const near = connect()
    near.giveUp()
    near.stand(20)
    expect(had()).toBe(250)
  })

  it('stays for the one that stands first, which needs it', () => {
    const { connect, failing, had } = learning()
    failing(1)
    connect().stand(20)
    connect().stand(400)
    expect(had()).toBe(500)
  })
})

const first = getDefaultAutoSelectFamilyAttemptTimeout()
const alive = '127.0.0.1'
/** Nobody listens there, unless at all addresses. */
const beside = '127.0.0.2'

function hookTo(...addresses: string[]): ConnectHook {
  const found = addresses.map((address) => ({ address, family: 4 }))
  const lookup: LookupFunction = (_name, { all }, callback) =>
    all === true ? callback(null, found) : callback(null, alive, 4)
  return { check() {}, lookup }
}

/** Begins something that connects, and does something else for longer than that: as if the line were long. */
function held<T>(begin: () => Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    // Before anything is read, and after what Node puts off until now.
    setImmediate(() => {
      begin().then(resolve, reject)
      process.nextTick(() =>
        process.nextTick(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms + 20)),
      )
    })
  })
}

/** How often it was tried until it went well. */
async function tries(begin: () => Promise<unknown>): Promise<number> {
  for (let i = 1; i <= 8; i++) {
    const went = await held(begin, first).then(
      () => true,
      () => false,
    )
    if (went) return i
  }
  return Number.POSITIVE_INFINITY
}

type Begin = (target: Target) => Promise<unknown>

function asking(transport: Transport): Begin {
  own({ close: () => transport.close(true) })
  return (target) => ask(transport, target)
}

function dialing(hook: ConnectHook): Begin {
  return async (target) => {
    const socket = await dial({ connect: hook })(target, new AbortController().signal)
    const closed = once(socket, 'close')
    socket.destroy()
    await closed
  }
}

const timeout = (target: Target) => addressPatience.begin(target, 2_000).timeout

describe('a target of whose addresses the last is dead', () => {
  const hook = hookTo(alive, beside)

  const overHttp1 = async () => `http://app.sluice-test.invalid:${own(await originServer()).port}`
  const overHttp2 = async () => {
    const { port } = own(
      await http2Origin((stream) => stream.respond({ ':status': 200 }, { endStream: true })),
    )
    return `http://app.sluice-test.invalid:${port}`
  }
  const overTls = async () => {
    const { port } = own(await secureOrigin({ ...testCertificate() }))
    return { url: `https://app.sluice-test.invalid:${port}`, tls: { verify: false } }
  }

  const reached = async (_name: string, made: () => Begin, origin: () => Promise<TargetInit>) => {
    const target = targetOf(await origin())
    const begin = made()
    expect(await tries(() => begin(target))).toBeLessThan(9)
    expect(timeout(target)).toBeGreaterThan(first)
  }

  it.each<Parameters<typeof reached>>([
    ['wireTransport', () => asking(wireTransport({ connect: hook })), overHttp1],
    ['http2Transport', () => asking(http2Transport({ connect: hook })), overHttp2],
    ['dial', () => dialing(hook), overHttp1],
  ])('is reached by %s when the one that lives is slow', reached)

  it.skipIf(skipUnless(testCertificate(), 'TLS: there is no openssl')).each<Parameters<typeof reached>>([
    ['wireTransport', () => asking(wireTransport({ connect: hook })), overTls],
    ['http2Transport', () => asking(http2Transport({ connect: hook })), overTls],
  ])('is reached by %s over TLS when the one that lives is slow', reached)
})

it('the address that stands behind one that was given up has Node’s own time again', async () => {
  const server = createServer((socket) => void socket.on('error', () => {}).resume())
  own({ close: () => new Promise((resolve) => server.close(resolve)) })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const target = targetOf(`http://app.sluice-test.invalid:${port}`)
  const begin = dialing(hookTo(alive, beside))
  addressPatience.failed(target, first, 2 * first, true)
  expect(timeout(target)).toBe(2 * first)
  await begin(target)
  expect(timeout(target)).toBe(2 * first)
  await held(() => begin(target), 2 * first)
  expect(timeout(target)).toBe(first)
})
