import { ProxyError, type Reply } from '@sluice/core'
import { expect, it } from 'vitest'
import { answered, CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { createCache } from './create-cache.js'
import './middleware.js'

trapUnhandled()
const own = owner()
const rig = () => own(new CacheRig(createCache))
const many = (at: CacheRig, count: number) => Array.from({ length: count }, () => at.ask('/'))

it.each(['client_left', 'http_request_rate', 'http_request_body_size', 'proxy_loop_detected'] as const)(
  'a fetch that ends with %s, which is of the one who has asked, is made anew for the others, once',
  async (code) => {
    const at = rig()
    const [first, ...others] = many(at, 10)
    const call = await at.call()
    call.fail(new ProxyError(code))
    await expect(first).rejects.toMatchObject({ code })
    await settled()
    at.calls[1]?.answer(200, fresh, 'theirs')
    const texts = await Promise.all(others.map(async (one) => (await answered((await one) as Reply)).text))
    expect(new Set(texts)).toEqual(new Set(['theirs']))
    expect(at.calls).toHaveLength(2)
  },
)

it.each([
  ['proxy_loop_detected', 3],
  ['connection_refused', 2],
] as const)('behind a stale answer %s makes %d fetches of two requests', async (code, count) => {
  const at = rig()
  at.origin = () => ({
    status: 200,
    headers: ['Cache-Control', 'max-age=1, stale-while-revalidate=60'],
    body: 'x',
  })
  await at.read('/')
  at.now += 2_000
  at.origin = () => Promise.reject(new ProxyError(code))
  for (let i = 0; i < 2; i++) {
    expect((await at.read('/')).text).toBe('x')
    await settled()
  }
  expect(at.calls).toHaveLength(count)
})

it('those who wait have each its own, in the end, where each is refused', async () => {
  const at = rig()
  const asked = many(at, 10).map((reply) => reply.catch((error: unknown) => error))
  for (let i = 0; i < at.calls.length || i < 1; i++) {
    ;(at.calls[i] ?? (await at.call())).fail(new ProxyError('http_request_rate', { message: String(i) }))
    await settled()
  }
  expect(new Set(await Promise.all(asked)).size).toBe(10)
  expect(at.calls).toHaveLength(10)
})
