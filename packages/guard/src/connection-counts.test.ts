import { describe, expect, it } from 'vitest'
import { clientNetwork } from './client-network.js'
import { ConnectionCounts } from './connection-counts.js'

describe('clientNetwork', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['no address', 'no address'],
    ['not:one', 'not:one'],
  ])('of %s is %s', (address, network) => {
    expect(clientNetwork(address)).toBe(network)
  })
})

describe('ConnectionCounts', () => {
  it('counts those of one network together, and forgets who has none', () => {
    const counts = new ConnectionCounts(2)
    const first = counts.enter('2001:db8::1')
    const second = counts.enter('2001:db8::ffff')
    expect(counts.enter('2001:db8::2')).toBeUndefined()
    expect(counts.enter('192.0.2.1')).toBe('192.0.2.1')
    expect(counts.size).toBe(2)
    counts.leave(first as string)
    expect(counts.enter('2001:db8::2')).toBe(second)
    counts.leave(second as string)
    counts.leave(second as string)
    counts.leave('192.0.2.1')
    expect(counts.size).toBe(0)
  })
})
