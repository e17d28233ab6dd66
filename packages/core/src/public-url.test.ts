import { describe, expect, it } from 'vitest'
import type { Client } from './client-address.js'
import { publicAuthority, publicPath } from './public-url.js'

const client = (more: Partial<Client['client']>): Client['client'] => ({
  address: '10.0.0.1',
  scheme: 'https',
  believed: ['10.0.0.1'],
  ...more,
})

describe('publicAuthority', () => {
  it.each<[string, Client['client'] | undefined, string]>([
    ['as it came, of nobody who is known', undefined, 'in.example:81'],
    [
      'with the host, of whom a trusted proxy doesn’t name',
      client({ believed: [], host: 'a.example' }),
      'a.example',
    ],
    ['as it came, where nothing is told', client({}), 'in.example:81'],
    ['with the host that is told', client({ host: 'a.example' }), 'a.example'],
    ['with host and port', client({ host: 'a.example', port: 8443 }), 'a.example:8443'],
    ['without the port of its scheme', client({ host: 'a.example', port: 443 }), 'a.example'],
    [
      'with that of another scheme',
      client({ scheme: 'http', host: 'a.example', port: 443 }),
      'a.example:443',
    ],
    ['with the port of the host', client({ host: 'a.example:1', port: 8443 }), 'a.example:1'],
    ['with a port behind an address', client({ host: '[::1]', port: 8443 }), '[::1]:8443'],
    ['with the port that came', client({ port: 8443 }), 'in.example:81'],
  ])('is %s', (_name, told, expected) => {
    expect(publicAuthority('in.example:81', told)).toBe(expected)
  })
})

describe('publicPath', () => {
  it('has the prefix that a trusted proxy tells', () => {
    expect(publicPath('/a?b', undefined)).toBe('/a?b')
    expect(publicPath('/a?b', client({}))).toBe('/a?b')
    expect(publicPath('/a?b', client({ prefix: '/p/' }))).toBe('/p/a?b')
    expect(publicPath('/a?b', client({ believed: [], prefix: '/p' }))).toBe('/p/a?b')
  })
})
