import { expect, it } from 'vitest'
import { clientNames, withoutIdentity } from './hidden-client.js'

it('a name is the same for one address and one secret, and says nothing else', () => {
  const name = clientNames('the first secret there is')
  const first = name('203.0.113.9')
  expect(first).toMatch(/^_[\w-]{22}$/)
  expect(name('203.0.113.10')).not.toBe(first)
  for (let i = 0; i < 3_000; i++) name(`10.0.${i >> 8}.${i & 255}`)
  expect(name('203.0.113.9')).toBe(first)
  expect(clientNames('the first secret there is')('203.0.113.9')).toBe(first)
  expect(clientNames('another secret than that')('203.0.113.9')).not.toBe(first)
})

it('fields that tell who the client is go, in any case and with underlines, and no others', () => {
  const others = ['Accept', '*/*', 'X-Client-Version', '3', 'X-Remote-Control', 'on']
  expect(withoutIdentity([...others, 'True-Client-IP', '1', 'X_Client_Ip', '1', 'FROM', 'a@b'])).toEqual(
    others,
  )
  expect(withoutIdentity(others)).toBe(others)
})
