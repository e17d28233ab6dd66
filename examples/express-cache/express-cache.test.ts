import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { owner } from '../../test/kit/owner.js'
import { trapUnhandled } from '../../test/kit/trap-unhandled.js'
import { createShop } from './main.js'

trapUnhandled()
const own = owner()

it('makes pages once, until what they show changes', async () => {
  const server = createShop()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const get = async (path: string): Promise<[string, boolean]> => {
    const response = await fetch(url + path)
    return [await response.text(), response.headers.get('cache-status')?.includes('hit') === true]
  }
  for (const hit of [false, true]) {
    expect(await get('/products/tea')).toEqual(['tea: 4\n', hit])
    expect(await get('/products/cup')).toEqual(['cup: 9\n', hit])
    expect(await get('/products')).toEqual(['tea: 4\ncup: 9\n', hit])
  }
  const headers = { 'Content-Type': 'text/plain' }
  await fetch(`${url}/products/tea`, { method: 'PUT', body: '5', headers })
  expect(await get('/products/tea')).toEqual(['tea: 5\n', false])
  expect(await get('/products')).toEqual(['tea: 5\ncup: 9\n', false])
  expect(await get('/products/cup')).toEqual(['cup: 9\n', true])
})
