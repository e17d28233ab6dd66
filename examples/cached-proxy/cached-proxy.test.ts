import { expect, it } from 'vitest'
import { originServer } from '../../test/kit/origin-server.js'
import { owner } from '../../test/kit/owner.js'
import { trapUnhandled } from '../../test/kit/trap-unhandled.js'
import { until } from '../../test/kit/until.js'
import { serve } from './main.js'

trapUnhandled()
const own = owner()

it('keeps pages until their tag is purged', async () => {
  let version = 1
  const origin = own(
    await originServer((_req, res) => {
      res.setHeader('Cache-Control', 'public, max-age=60')
      res.setHeader('Cache-Tag', 'product-17, list')
      res.end(`version ${version}`)
    }),
  )
  const site = own(await serve(origin.url, 0, 0))
  const get = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${site.port}${path}`)).text()
  const purge = (query: string, method = 'POST'): Promise<Response> =>
    fetch(`http://127.0.0.1:${site.adminPort}/purge?${query}`, { method })

  expect(await get('/products/17?utm_source=mail')).toBe('version 1')
  version = 2
  expect(await get('/products/17')).toBe('version 1')

  expect(await (await purge('tag=product-17')).json()).toEqual({ purged: 1 })
  expect(await get('/products/17')).toBe('version 1')
  await until(async () => (await get('/products/17')) === 'version 2', 'the new page')

  version = 3
  expect(await (await purge('tag=list&hard')).json()).toEqual({ purged: 1 })
  expect(await get('/products/17')).toBe('version 3')

  const wrong = await purge('tags=list')
  expect([wrong.status, await wrong.text()]).toEqual([
    400,
    "purge: got { tags: 'list' }, takes one of { url }, { tag } and { prefix }\n",
  ])
  expect((await purge('tag=list', 'GET')).status).toBe(405)
  expect((await fetch(`http://127.0.0.1:${site.port}/purge?tag=list`, { method: 'POST' })).status).toBe(200)
})
