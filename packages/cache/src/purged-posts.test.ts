import type { Reply } from '@sluice/core'
import { expect, it } from 'vitest'
import { deferred } from '../../../test/kit/until.js'
import { createCache } from './create-cache.js'
import { memoryStore } from './memory-store.js'

it('stores no answer to a POST that a purge has met while what it changed was dropped', async () => {
  const store = memoryStore()
  const slow = deferred<number>()
  const begun = deferred<undefined>()
  let purges = 0
  const purge = store.purge.bind(store)
  // The purge of the POST itself takes its time, as in a store that is elsewhere.
  store.purge = (what, soft) => {
    const done = purge(what, soft)
    if (++purges > 1) return done
    begun.resolve(undefined)
    return slow.promise
  }
  await using cache = createCache({ store, storeTimeout: 0 })
  const ask = (method: string, body: string | null) =>
    cache.handle(
      { method, scheme: 'http', authority: 'site.test', path: '/', headers: [], body },
      (): Reply => {
        const headers = ['Cache-Control', 'max-age=60', 'Content-Location', 'http://site.test/']
        return { status: 200, headers, body: method }
      },
    )
  const posted = ask('POST', 'x')
  await begun.promise
  await cache.purge({ url: 'http://site.test/' })
  slow.resolve(0)
  await posted
  expect(store.count).toBe(0)
})
