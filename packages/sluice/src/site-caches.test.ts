import { memoryStore, type Store } from '@sluice/cache'
import { expect, it } from 'vitest'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { createProxy } from './create-proxy.js'

const own = owner()

it('purges the caches of all routes, though the store of the first one fails at it', async () => {
  let asked = 0
  const origin = own(
    await originServer((_req, res) => {
      asked++
      res.setHeader('Cache-Control', 'max-age=60')
      res.end()
    }),
  )
  const store: Store = memoryStore()
  store.purge = () => Promise.reject(new Error('it is read-only'))
  const proxy = own(
    createProxy({
      upstreams: { u: origin.url },
      routes: [
        { path: '/kept', upstream: 'u', cache: { store } },
        { path: '/', upstream: 'u', cache: true },
      ],
    }),
  )
  const { port } = await proxy.listen()
  const url = `http://127.0.0.1:${port}`
  for (const path of ['/kept', '/page', '/page']) await (await fetch(url + path)).text()
  expect(asked).toBe(2)
  await expect(proxy.cache?.purge({ prefix: url })).rejects.toThrow('it is read-only')
  await (await fetch(`${url}/page`)).text()
  expect(asked).toBe(3)
})
