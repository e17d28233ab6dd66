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
