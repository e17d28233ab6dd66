import type { Reply } from '@sluice/core'
import { expect, it } from 'vitest'
import { deferred } from '../../../test/kit/until.js'
import { createCache } from './create-cache.js'
import { memoryStore } from './memory-store.js'

const fresh = ['Cache-Control', 'max-age=60']

function asked(method: string, path = '/') {
  return { method, scheme: 'http', authority: 'site.test', path, headers: [] }
}

it.each(['a POST', 'a purge'])(
  '%s through one cache wins over what another over the same store is fetching',
  async (by) => {
    const store = memoryStore()
    const one = createCache({ store })
    const other = createCache({ store, key: { scope: 'other' } })
    const head = deferred<Reply>()
    const got = one.handle(asked('GET'), () => head.promise)
    if (by === 'a purge') await other.purge({ url: 'http://site.test/' })
    else await other.handle(asked('POST'), () => ({ status: 204, headers: [], body: null }))
    head.resolve({ status: 200, headers: [...fresh], body: 'of before' })
    expect((await got).status).toBe(200)
    const again = await one.handle(asked('GET'), () => ({
      status: 200,
      headers: [...fresh],
      body: 'of after',
    }))
    expect(again.headers.at(-1)).toMatch(/fwd=uri-miss/)
  },
)

it('each of two caches over one store judges what is in it by its own settings', async () => {
  // In a second all is told alike.
  const clock = () => 1_000_000
  const store = memoryStore({ clock })
  const one = createCache({ store, clock, statusName: 'one' })
  const other = createCache({ store, clock, statusName: 'other' })
  const fetch = () => ({ status: 200, headers: [...fresh], body: 'kept' })
  const told = async (from: typeof one) => (await from.handle(asked('GET'), fetch)).headers.at(-1)
  await told(one)
  // So often that the store keeps the entry as it is given.
  for (let i = 0; i < 6; i++) {
    expect(await told(one)).toBe('one; hit; ttl=60')
    expect(await told(other)).toBe('other; hit; ttl=60')
  }
})
