import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Client, type ClientAddressOptions, clientAddress } from './client-address.js'
import type { Context } from './context.js'

/** What it says of a request with these fields, over plain HTTP. */
function clientOf(options: ClientAddressOptions, headers: string[], peer = '10.0.0.1'): Client['client'] {
  let found: Client['client'] | undefined
  const handler = clientAddress(options)((ctx) => {
    found = ctx.client
    return { status: 204, headers: [], body: null }
  })
  void handler({ peer: { address: peer, port: 1 }, scheme: 'http', out: { headers } } as unknown as Context)
  return found as Client['client']
}

const trust = ['10.0.0.0/8']
const both = [
  'Forwarded',
  'for=1.1.1.1;proto=https',
  'X-Forwarded-For',
  '2.2.2.2',
  'X-Forwarded-Host',
  'a.example',
]

describe('clientAddress', () => {
  it('reads the chosen fields and no others', () => {
    const forwarded = clientOf({ trust, fields: 'forwarded' }, both)
    expect(forwarded).toMatchObject({ address: '1.1.1.1', scheme: 'https', believed: ['1.1.1.1'] })
    expect(forwarded).not.toHaveProperty('host')
    const x = { address: '2.2.2.2', scheme: 'http', believed: ['2.2.2.2'], host: 'a.example' }
    expect(clientOf({ trust }, both)).toEqual(x)
    expect(clientOf({ trust, fields: 'x-forwarded' }, both)).toEqual(x)
  })

  it.each(['x-forwarded', 'forwarded'] as const)('with %s believes no stranger', (fields) => {
    const alone = { address: '9.9.9.9', scheme: 'http', believed: [] }
    expect(clientOf({ trust, fields }, both, '9.9.9.9')).toEqual(alone)
    expect(clientOf({ fields }, both, '9.9.9.9')).toEqual(alone)
    expect(clientOf({ trust: [], fields }, both, '9.9.9.9')).toEqual(alone)
  })

  it('takes no host, port or prefix that is none', () => {
    const junk = ['Host', 'a b', 'Port', '99999', 'Prefix', '//evil.example', 'Proto', 'gopher']
    const headers = ['X-Forwarded-For', '1.1.1.1']
    for (let i = 0; i < junk.length; i += 2) headers.push(`X-Forwarded-${junk[i]}`, junk[i + 1] as string)
    expect(clientOf({ trust }, headers)).toEqual({
      address: '1.1.1.1',
      scheme: 'http',
      believed: ['1.1.1.1'],
    })
    const forwarded = clientOf({ trust, fields: 'forwarded' }, [
      'Forwarded',
      'for=1.1.1.1;host="a b";proto=gopher',
    ])
    expect(forwarded).not.toHaveProperty('host')
    expect(forwarded.scheme).toBe('http')
  })

  it('is not moved by what a client wrote before our proxies did', () => {
    const value = fc.string({ unit: fc.constantFrom(...' ",;=\\:[]()_-.0123456789abfhortx'.split('')) })
    fc.assert(
      fc.property(fc.array(value), fc.boolean(), (lines, sameLine) => {
        for (const fields of ['forwarded', 'x-forwarded'] as const) {
          const name = fields === 'forwarded' ? 'Forwarded' : 'X-Forwarded-For'
          const ours = fields === 'forwarded' ? 'for="1.1.1.1:5";x=",", for=10.0.0.2' : '1.1.1.1:5, 10.0.0.2'
          const headers = sameLine
            ? [name, [...lines, ours].join(', ')]
            : [...lines.flatMap((line) => [name, line]), name, ours]
          expect(clientOf({ trust, fields }, headers)).toEqual(clientOf({ trust, fields }, [name, ours]))
        }
      }),
    )
  })

  it.each<[object, string]>([
    [{ trust: ['10.0.0.1/8'] }, "trust[0]: got '10.0.0.1/8'"],
    [{ fields: 'both' }, "fields: got 'both', takes 'x-forwarded', 'forwarded'"],
    [{ trusted: trust }, 'trusted: unknown option, did you mean trust?'],
  ])('%j is a TypeError', (options, says) => {
    expect(() => clientAddress(options)).toThrow(TypeError)
    expect(() => clientAddress(options)).toThrow(says)
  })
})
