import { createProxy, type ProxyOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { leakCheck } from '../kit/leak-check.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()

const upstreams = { x: 'http://127.0.0.1:9' }
const secret = 'correct horse battery'

/** What is told, in its order. */
function toldOf(options: object): string[] {
  try {
    createProxy({ upstreams, ...options } as ProxyOptions)
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as TypeError).message.split('\n')
  }
  throw new Error('nothing was told')
}

describe('a wrong option of guard, limits or access', () => {
  it.each<[string, object]>([
    ['guard: got true, takes false, or {', { guard: true }],
    ['guard.validate.maxUrls: unknown option, did you mean maxUrl?', { guard: { validate: { maxUrls: 1 } } }],
    ["guard.validate.methods[0]: got 'get'", { guard: { validate: { methods: ['get'] } } }],
    ["guard.validate: got 'on', takes true, false, or {", { guard: { validate: 'on' } }],
    ['guard.server.head: got', { guard: { server: { head: 'long' } } }],
    ['guard.server: got true, takes false, or {', { guard: { server: true } }],
    ['guard.slow.minRate: got -1', { guard: { slow: { minRate: -1 } } }],
    ["guard.bodyLimit: got 'much'", { guard: { bodyLimit: 'much' } }],
    ["guard.bodyBuffer: got 'some'", { guard: { bodyBuffer: 'some' } }],
    ['routes[0].limits.bodyBuffer', { routes: [{ upstream: 'x', limits: { bodyBuffer: -1 } }] }],
    ['guard.ip.allow[0]', { guard: { ip: { allow: ['10.0.0.1/8'] } } }],
    ['guard.ip', { guard: { ip: {} } }],
    ['guard.ip.deny.file', { guard: { ip: { deny: { file: '' } } } }],
    ['guard.shed.inFlight: got', { guard: { shed: { inFlight: -1 } } }],
    ['guard.anonymity.bodies', { guard: { anonymity: { bodies: ['pdf'] } } }],
    ['guard.anonymity.client.hash: got a text', { guard: { anonymity: { client: { hash: 'short' } } } }],
    [
      "guard.anonymity.client: got a text, takes 'pass', 'remove'",
      { guard: { anonymity: { client: secret } } },
    ],
    ['guard.rateLimit.limit: got', { guard: { rateLimit: { window: '1m' } } }],
    ['guard.rateLimit[1].window', { guard: { rateLimit: [{ limit: 1, window: '1s' }, { limit: 1 }] } }],
    ['guard.concurrency.limit: got 0', { guard: { concurrency: { limit: 0 } } }],
    ['routes[0].limits.bodyLimit', { routes: [{ upstream: 'x', limits: { bodyLimit: -1 } }] }],
    ['routes[0].limits.rateLimit.limit', { routes: [{ upstream: 'x', limits: { rateLimit: {} } }] }],
    [
      'routes[0].limits.validate: unknown option',
      { routes: [{ upstream: 'x', limits: { validate: true } }] },
    ],
    ['access.basics: unknown option, did you mean basic?', { access: { basics: {} } }],
    ['access.basic.users: got', { access: { basic: {} } }],
    ['access.cors', { access: { cors: { origins: 7 } } }],
    ['access.jwt', { access: { jwt: {} } }],
    ['access.forwardAuth.url', { access: { forwardAuth: { url: 'nowhere' } } }],
    ['access.signedUrl', { access: { signedUrl: { secret: '' } } }],
    ['access.maintenance', { access: { maintenance: { on: 'yes' } } }],
    ['routes[0].access.basic.users', { routes: [{ upstream: 'x', access: { basic: {} } }] }],
    [
      'upstreams.x.sticky.encrypt: got false with guard.anonymity',
      {
        upstreams: { x: { targets: [upstreams.x], sticky: { secret, encrypt: false } } },
        guard: { anonymity: true },
      },
    ],
  ])('%s', (says, options) => {
    const told = toldOf(options)
    expect(told.some((line) => line.startsWith(says))).toBe(true)
    expect(told.join('\n')).not.toContain(secret)
  })

  it('is told together with all others', () => {
    const told = toldOf({
      via: 'a b',
      guard: { validate: { maxUrl: -1 }, ip: { allow: ['x'] }, bodyLimit: [] },
      access: { basic: {}, maintenance: { on: 1 } },
      routes: [{ upstream: 'y', limits: { concurrency: { limit: 0 } } }],
    })
    for (const path of [
      'via',
      'guard.validate.maxUrl',
      'guard.ip.allow[0]',
      'guard.bodyLimit',
      'access.basic.users',
      'access.maintenance',
      'routes[0].limits.concurrency.limit',
      'routes[0].upstream',
    ])
      expect(told.filter((line) => line.startsWith(`${path}:`) || line.startsWith(`${path}.`))).not.toEqual(
        [],
      )
  })

  it('leaves nothing behind', async () => {
    const check = leakCheck()
    for (let i = 0; i < 20; i++) toldOf({ guard: { ip: { deny: ['10.0.0.0/8'] }, shed: true }, via: 'a b' })
    await check.settled()
  })
})
