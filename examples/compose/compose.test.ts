import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { originServer } from '../../test/kit/origin-server.js'
import { owner } from '../../test/kit/owner.js'
import { createSite } from './main.js'

const own = owner()

it('runs a chain by hand, with a layer of its own and the compression package in it', async () => {
  const text = 'a line of text that compresses well\n'.repeat(100)
  const origins = [own(await originServer(answer)), own(await originServer(answer))]
  function answer(_req: unknown, res: import('node:http').ServerResponse): void {
    res.setHeader('content-type', 'text/plain')
    res.end(text)
  }
  const server = createSite(origins.map(({ url }) => url))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const response = await fetch(url, { headers: { 'accept-encoding': 'gzip' } })
  expect(response.headers.get('content-encoding')).toBe('gzip')
  expect(response.headers.get('x-served-for')).toBe('127.0.0.1')
  expect(await response.text()).toBe(text)
})
