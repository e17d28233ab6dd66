import { once } from 'node:events'
import { getDefaultAutoSelectFamilyAttemptTimeout, type LookupFunction, Socket } from 'node:net'
import type { Target } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { ask, targetOf } from '../../../test/kit/attempt.js'
import { http2Origin } from '../../../test/kit/http2-origin.js'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { addressPatience, learnPatience } from './address-patience.js'
import { type ConnectHook, dial, http2Transport, type Transport, wireTransport } from './index.js'

trapUnhandled()
const own = owner()
const first = getDefaultAutoSelectFamilyAttemptTimeout()
const alive = '127.0.0.1'
/** Nobody listens there. */
const dead = '127.0.0.2'

function hookTo(...addresses: string[]): ConnectHook {
  const found = addresses.map((address) => ({ address, family: 4 }))
  const lookup: LookupFunction = (_name, { all }, callback) =>
    all === true ? callback(null, found) : callback(null, alive, 4)
  return { check() {}, lookup }
}

/** Begins something that connects, and does something else for longer than an address has: as if the line were long. */
function held<T>(begin: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // Before anything is read, and after what Node puts off until now.
    setImmediate(() => {
      begin().then(resolve, reject)
      process.nextTick(() =>
        process.nextTick(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, first + 20)),
      )
    })
  })
}

/** How often it was tried until it went well. */
async function tries(begin: () => Promise<unknown>): Promise<number> {
  for (let i = 1; i <= 5; i++) {
    const went = await held(begin).then(
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

const hook = hookTo(alive, dead)

describe('a target of whose addresses the last is dead', () => {
  it.each<[string, boolean, () => Begin]>([
    ['wireTransport', false, () => asking(wireTransport({ connect: hook }))],
    ['http2Transport', true, () => asking(http2Transport({ connect: hook }))],
    [
      'dial',
      false,
      () => async (target) => {
        const socket = await dial({ connect: hook })(target, new AbortController().signal)
        socket.destroy()
      },
    ],
  ])('is reached by %s when the one that lives is slow', async (_name, http2, made) => {
    const { port } = http2
      ? own(await http2Origin((stream) => stream.respond({ ':status': 200 }, { endStream: true })))
      : own(await originServer())
    const target = targetOf(`http://app.sluice-test.invalid:${port}`)
    const begin = made()
    expect(await tries(() => begin(target))).toBeGreaterThan(1)
    expect(addressPatience(target)).toBeGreaterThan(first)
  })
})

/** A connection that ends so. */
async function ended(target: Target, ...events: string[]): Promise<void> {
  const socket = new Socket()
  learnPatience(socket, target)
  for (const event of events) socket.emit(event)
  const closed = once(socket, 'close')
  socket.destroy()
  await closed
}

it('addresses have twice as long after each failure, up to a second, and as long as at first behind a dead one', async () => {
  const target = targetOf('http://app.sluice-test.invalid')
  await ended(target)
  expect(addressPatience(target)).toBe(first)
  await ended(target, 'connectionAttemptTimeout')
  expect(addressPatience(target)).toBe(2 * first)
  await ended(target, 'connect')
  expect(addressPatience(target)).toBe(2 * first)
  for (let i = 0; i < 9; i++) await ended(target, 'connectionAttemptTimeout')
  expect(addressPatience(target)).toBe(1_000)
  await ended(target, 'connectionAttemptTimeout', 'connect')
  expect(addressPatience(target)).toBe(first)
})
