import type { Context } from '@sluice/core'
import { parse } from '@sluice/proxy-protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ClientEnds, clientEnds } from './client-ends.js'
import { proxyHeader } from './proxy-header.js'

const ends = (source: string, destination: string): ClientEnds => ({
  source: { address: source, port: 1 },
  destination: { address: destination, port: 2 },
})

describe('the header of a connection', () => {
  it.each([
    ['192.0.2.1', '198.51.100.1', 'PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n'],
    ['::ffff:192.0.2.1', '::FFFF:198.51.100.1', 'PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n'],
    ['2001:DB8::1', 'fe80::1%eth0', 'PROXY TCP6 2001:db8::1 fe80::1 1 2\r\n'],
    ['192.0.2.1', '::1', 'PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n'],
    ['::1', '192.0.2.1', 'PROXY TCP6 ::1 ::ffff:192.0.2.1 1 2\r\n'],
    ['', '127.0.0.1', 'PROXY UNKNOWN\r\n'],
    ['127.0.0.1', '', 'PROXY UNKNOWN\r\n'],
  ])('from %j to %j', (source, destination, line) => {
    expect(proxyHeader(1, ends(source, destination)).toString()).toBe(line)
    const [one, two] = [parse(Buffer.from(line)), parse(proxyHeader(2, ends(source, destination)))]
    expect(two).toMatchObject({ status: 'header', version: 2 })
    expect((two as { header: object }).header).toEqual((one as { header: object }).header)
  })

  it('says LOCAL, or UNKNOWN, where there is no client', () => {
    expect(proxyHeader(1, undefined).toString()).toBe('PROXY UNKNOWN\r\n')
    expect(parse(proxyHeader(2, undefined))).toMatchObject({ header: { command: 'local', family: 'unspec' } })
  })

  it('is always one that can be read', () => {
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV4().map((four) => `::ffff:${four}`),
      fc.string(),
    )
    fc.assert(
      fc.property(
        fc.constantFrom(1 as const, 2 as const),
        address,
        address,
        (version, source, destination) => {
          const bytes = proxyHeader(version, ends(source, destination))
          expect(parse(bytes)).toMatchObject({ status: 'header', version, length: bytes.length })
        },
      ),
    )
  })
})

describe("the ends of a client's connection", () => {
  const context = (client: string | undefined, socket: object): Context =>
    ({
      peer: { address: '192.0.2.1', port: 5 },
      req: { socket },
      ...(client === undefined ? {} : { client: { address: client } }),
    }) as never
  const socket = { localAddress: '198.51.100.1', localPort: 443 }
  const destination = { address: '198.51.100.1', port: 443 }

  it.each([
    [undefined, { address: '192.0.2.1', port: 5 }],
    ['192.0.2.1', { address: '192.0.2.1', port: 5 }],
    // A trusted proxy has said who it is, but not by which port.
    ['203.0.113.9', { address: '203.0.113.9', port: 0 }],
  ])('of a client believed to be %s', (client, source) => {
    expect(clientEnds(context(client, socket))).toEqual({ source, destination })
  })

  it('of a connection that has gone', () => {
    const nobody = { address: '', port: 0 }
    expect(clientEnds(context(undefined, {})).destination).toEqual(nobody)
    const dead = {
      get localAddress(): string {
        throw new Error('unbound')
      },
    }
    expect(clientEnds(context(undefined, dead)).destination).toEqual(nobody)
  })
})
