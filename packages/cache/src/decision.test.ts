import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { format } from 'node:util'
import debug from 'debug'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { CacheRig, fresh } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { createCache } from './create-cache.js'

trapUnhandled()
const own = owner()
const before = debug.log
const lines: string[] = []

beforeEach(() => {
  lines.length = 0
  debug.log = (...args: unknown[]) => void lines.push(format(...args))
})
afterEach(() => {
  debug.disable()
  debug.log = before
})

/** A page that is asked for twice, and one that is private. */
async function visited(options?: Parameters<typeof createCache>[0]) {
  const at = own(new CacheRig(createCache, options))
  at.origin = ({ headers }) =>
    headers.includes('private')
      ? { status: 200, headers: ['Cache-Control', 'private'], body: 'mine' }
      : { status: 200, headers: fresh, body: 'page' }
  await at.read('/page?a=1')
  await at.read('/page?a=1')
  await at.read('/mine', { headers: ['X-Is', 'private'] })
  return at
}

it.each([undefined, { statusName: false }] as const)(
  'DEBUG says each in a line, hits too: %j',
  async (options) => {
    debug.enable('sluice:cache')
    await visited(options)
    const said = lines.map((line) => line.replace(/^.*?(?=GET)/, '').replace(/\s*\+\d+ms$/, ''))
    expect(said).toEqual([
      'GET http://a.example/page?a=1 200 sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60',
      'GET http://a.example/page?a=1 200 sluice; hit; ttl=60',
      'GET http://a.example/mine 200 sluice; fwd=uri-miss; fwd-status=200; detail=private',
    ])
  },
)

it('the channel has the request, the status and the decision, and is no field of an answer', async () => {
  const heard: object[] = []
  const listener = (message: unknown) => void heard.push(message as object)
  subscribe('sluice:cache:decision', listener)
  try {
    await visited()
  } finally {
    unsubscribe('sluice:cache:decision', listener)
  }
  const request = expect.objectContaining({
    method: 'GET',
    scheme: 'http',
    authority: 'a.example',
    path: '/page?a=1',
  })
  expect(heard).toEqual([
    expect.objectContaining({
      request,
      status: 200,
      hit: false,
      forwarded: 'uri-miss',
      forwardedStatus: 200,
      stored: true,
      ttl: 60,
    }),
    expect.objectContaining({ request, status: 200, hit: true, ttl: 60 }),
    expect.objectContaining({ status: 200, hit: false, forwarded: 'uri-miss', detail: 'private' }),
  ])
})
