import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maxForwards, walkXForwarded } from './index.js'

const proxies = (address: string): boolean => address.startsWith('10.')
const walk = (fields: Record<string, string | string[]>, peer = '10.0.0.1') =>
  walkXForwarded(
    Object.entries(fields).flatMap(([name, values]) =>
      [values].flat().flatMap((value) => [`X-Forwarded-${name}`, value]),
    ),
    peer,
    proxies,
  )

describe('X-Forwarded-*', () => {
  const all = { Proto: 'HTTPS', Host: 'a.example:81', Port: '81', Prefix: '/a/b' }
  const said = { scheme: 'https', host: 'a.example:81', port: 81, prefix: '/a/b' }

  it('say nothing of a stranger', () => {
    expect(walk({ For: '1.1.1.1', ...all }, '9.9.9.9')).toEqual({ address: '9.9.9.9', believed: [] })
  })

  it('say nothing without X-Forwarded-For, nor with junk in it', () => {
    expect(walk(all)).toEqual({ address: '10.0.0.1', believed: [] })
    expect(walk({ For: '1.1.1.1, ', ...all })).toEqual({ address: '10.0.0.1', believed: [] })
    expect(walk({ For: 'a.example', ...all })).toEqual({ address: '10.0.0.1', believed: [] })
  })

  it('of one value count, however many hops there were', () => {
    const believed = ['1.1.1.1', '10.0.0.2']
    expect(walk({ For: '6.6.6.6, 1.1.1.1, 10.0.0.2', ...all })).toEqual({
      address: '1.1.1.1',
      believed,
      ...said,
    })
  })

  it('of as many values as hops count in the place of the hop that is believed', () => {
    expect(
      walk({
        For: ['6.6.6.6, 1.1.1.1', '10.0.0.2'],
        Proto: 'http,https,http',
        Host: ['evil.example', 'a.example', 'inner.example'],
        Port: '666, 443, 80',
        Prefix: '/evil, /a, /b',
      }),
    ).toEqual({
      address: '1.1.1.1',
      believed: ['1.1.1.1', '10.0.0.2'],
      scheme: 'https',
      host: 'a.example',
      port: 443,
      prefix: '/a',
    })
  })

  it('of any other number count for nothing', () => {
    expect(walk({ For: '1.1.1.1, 10.0.0.2, 10.0.0.3', Proto: 'https, https', Host: 'a, b, c, d' })).toEqual({
      address: '1.1.1.1',
      believed: ['1.1.1.1', '10.0.0.2', '10.0.0.3'],
    })
  })

  it.each(['unknown', 'UNKNOWN', '_hidden'])('speak of a hop that is %s, and of nobody beyond', (nobody) => {
    expect(walk({ For: `1.1.1.1, ${nobody}`, Proto: 'http, https' })).toEqual({
      address: '10.0.0.1',
      believed: [],
      scheme: 'https',
    })
  })

  it.each([
    ['Proto', 'gopher'],
    ['Host', 'a b'],
    ['Host', 'user@a.example'],
    ['Host', ''],
    ['Port', '0'],
    ['Port', '65536'],
    ['Port', '80x'],
    ['Prefix', 'a'],
    ['Prefix', '//evil.example'],
    ['Prefix', '/\\evil.example'],
    ['Prefix', '/a b'],
    ['Prefix', '/a?b'],
    ['Prefix', '/caf\u00e9'],
  ])('%s: %j is not believed', (name, value) => {
    expect(walk({ For: '1.1.1.1', [name]: value })).toEqual({ address: '1.1.1.1', believed: ['1.1.1.1'] })
  })

  it('take ws and wss for what carries them', () => {
    expect([
      walk({ For: '1.1.1.1', Proto: 'ws' }).scheme,
      walk({ For: '1.1.1.1', Proto: 'wss' }).scheme,
    ]).toEqual(['http', 'https'])
  })

  it('are not moved by what stands left of the believed hop, whatever it is', () => {
    const entry = fc.oneof(
      fc.ipV4(),
      fc.string().filter((text) => !text.includes(',')),
    )
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1 }), fc.array(entry, { minLength: 1 }), (left, protos) => {
        const found = walk({ For: `${left.join(',')}, 1.1.1.1, 10.0.0.2`, Host: 'a' })
        expect(found).toEqual(walk({ For: '1.1.1.1, 10.0.0.2', Host: 'a' }))
        // Each proxy has added to both lists: the client's part of them is equally long.
        const both = protos.slice(0, left.length)
        const list = [...left.slice(0, both.length), '1.1.1.1', '10.0.0.2'].join(',')
        expect(walk({ For: list, Proto: [...both, 'https', 'http'].join(',') }).scheme).toBe('https')
      }),
    )
  })

  it('are total, and bounded', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('For', 'Proto', 'Host', 'Port', 'Prefix'), fc.string())),
        (fields) => {
          walkXForwarded(
            fields.flatMap(([name, value]) => [`x-forwarded-${name}`, value]),
            '10.0.0.1',
            () => true,
          )
        },
      ),
    )
    const commas = ','.repeat(65_536)
    for (let i = 0; i < 20; i++) walk({ For: `${commas}1.1.1.1`, Proto: commas, Host: commas, Port: commas })
    const { believed } = walkXForwarded(
      ['x-forwarded-for', '10.0.0.1,'.repeat(20_000).slice(0, -1)],
      '10.0.0.1',
      proxies,
    )
    expect(believed).toHaveLength(10_000)
  })
})

describe('maxForwards', () => {
  it.each([
    [[], undefined],
    [['Max-Forwards', '0'], 0],
    [['MAX-FORWARDS', '007'], 7],
    [['max-forwards', '9'.repeat(40)], 2_147_483_647],
    [['Max-Forwards', ''], undefined],
    [['Max-Forwards', '-1'], undefined],
    [['Max-Forwards', '1.5'], undefined],
    [['Max-Forwards', '1, 0'], undefined],
    [['Max-Forwards', '1', 'max-forwards', '0'], undefined],
  ])('of %j is %s', (headers, left) => {
    expect(maxForwards(headers)).toBe(left)
  })
})
