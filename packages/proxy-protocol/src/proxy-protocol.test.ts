import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from './checksum.js'
import { format, longestBlock, type Parsed, type ProxyHeader, parse } from './index.js'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const port = fc.integer({ min: 0, max: 65_535 })
const ends = (address: fc.Arbitrary<string>, ports = port) => fc.record({ address, port: ports })

const inet = ends(fc.ipV4())
// As other programs write them: in whatever form. What comes out is the one of RFC 5952.
const inet6 = ends(fc.ipV6())
const unix = ends(
  fc
    .string({ unit: 'grapheme', maxLength: 20 })
    .filter((path) => !path.includes('\0'))
    .chain((path) => fc.constantFrom(path, path === '' ? '' : `\0${path}`)),
  fc.constant(0),
)

const header1: fc.Arbitrary<ProxyHeader> = fc.oneof(
  fc.record({ command: fc.constant('proxy'), family: fc.constant('inet'), source: inet, destination: inet }),
  fc.record({
    command: fc.constant('proxy'),
    family: fc.constant('inet6'),
    source: inet6,
    destination: inet6,
  }),
  fc.constant({ command: 'proxy', family: 'unspec' } as const),
) as fc.Arbitrary<ProxyHeader>

const tlvs = fc
  .array(fc.record({ type: fc.integer({ min: 0, max: 255 }), value: fc.uint8Array({ maxLength: 40 }) }), {
    maxLength: 5,
  })
  .filter((list) => list.filter(({ type }) => type === 3).length <= 1)
  .map((list) => list.map((tlv) => (tlv.type === 3 ? { type: 3, value: new Uint8Array(4) } : tlv)))

const addressed = (family: string, end: typeof inet) =>
  fc.record(
    {
      command: fc.constant('proxy'),
      family: fc.constant(family),
      transport: fc.constantFrom('stream', 'dgram'),
      source: end,
      destination: end,
      tlvs,
    },
    { requiredKeys: ['command', 'family', 'source', 'destination'] },
  )

const header2: fc.Arbitrary<ProxyHeader> = fc.oneof(
  addressed('inet', inet),
  addressed('inet6', inet6),
  addressed('unix', unix),
  fc.constant({ command: 'proxy', family: 'unspec' } as const),
  fc.constant({ command: 'local', family: 'unspec' } as const),
) as fc.Arbitrary<ProxyHeader>

const anyBytes = fc.oneof(
  header1.map((header) => [1, format(1, header)] as const),
  header2.map((header) => [2, format(2, header)] as const),
)

/** A header as it is read: addresses in their one form, what is left out as its default, the checksum as it is. */
function expectSame(read: ProxyHeader, written: ProxyHeader): void {
  const canonical = (address: string): string =>
    written.family === 'inet6' ? new URL(`http://[${address}]`).hostname : address
  expect({ command: read.command, family: read.family }).toEqual({
    command: written.command,
    family: written.family,
  })
  if (written.family === 'unspec') return
  expect(read.transport).toBe(written.transport ?? 'stream')
  for (const end of ['source', 'destination'] as const) {
    expect(read[end]?.port).toBe(written[end]?.port)
    expect(canonical(read[end]?.address ?? '')).toBe(canonical(written[end]?.address ?? ''))
  }
  const plain = (list: ProxyHeader['tlvs'] = []) =>
    list.map(({ type, value }) => [type, type === 3 ? 4 : Buffer.from(value).toString('hex')])
  expect(plain(read.tlvs)).toEqual(plain(written.tlvs))
}

function found(bytes: Uint8Array): Extract<Parsed, { status: 'header' }> {
  const parsed = parse(bytes)
  if (parsed.status !== 'header') throw new Error(`${parsed.status}: ${JSON.stringify(parsed)}`)
  return parsed
}

describe('what is formatted', () => {
  it('reads the same, whatever follows, and formats to the same bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          header1.map((header) => [1, header] as const),
          header2.map((header) => [2, header] as const),
        ),
        fc.uint8Array({ maxLength: 30 }),
        ([version, header], rest) => {
          const bytes = format(version, header)
          const parsed = found(Buffer.concat([bytes, rest]))
          expect([parsed.version, parsed.length]).toEqual([version, bytes.length])
          expectSame(parsed.header, header)
          expect(format(version, parsed.header)).toEqual(bytes)
        },
      ),
    )
  })

  it('asks for more after every beginning', () => {
    fc.assert(
      fc.property(anyBytes, ([, bytes]) => {
        for (let size = 0; size < bytes.length; size++)
          expect(parse(bytes.subarray(0, size))).toEqual({ status: 'more' })
      }),
      { numRuns: 50 },
    )
  })

  it('reads the same from a part of a larger buffer', () => {
    fc.assert(
      fc.property(anyBytes, fc.uint8Array({ maxLength: 9 }), ([version, bytes], before) => {
        const all = new Uint8Array(Buffer.concat([before, bytes]))
        expect(found(all.subarray(before.length)).version).toBe(version)
      }),
    )
  })
})

describe('bytes of whatever kind', () => {
  const mutated = fc
    .tuple(anyBytes, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }))
    .map(([[, bytes], edits]) => {
      const copy = Buffer.from(bytes)
      for (const [at, value] of edits) copy[at % copy.length] = value
      return copy
    })

  it('throw nothing, and a verdict stays what it is when more comes', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.concat([signature, bytes])),
      fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.concat([Buffer.from('PROXY TCP4 '), bytes])),
      mutated,
    )
    fc.assert(
      fc.property(any, (bytes) => {
        let last: Parsed = { status: 'more' }
        for (let size = 0; size <= bytes.length; size++) {
          const now = parse(bytes.subarray(0, size))
          if (last.status === 'invalid') expect(now.status).toBe('invalid')
          else if (last.status === 'header') expect(now).toEqual(last)
          if (now.status === 'header') expect(now.length).toBeLessThanOrEqual(size)
          last = now
        }
      }),
      { numRuns: 300 },
    )
  })

  it('never leave a line open beyond 107 bytes', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 101, maxLength: 200 }), (text) => {
        const bytes = Buffer.from(`PROXY ${text}`, 'latin1')
        expect(parse(bytes).status).not.toBe('more')
      }),
    )
  })
})

describe('version 1', () => {
  it.each([
    ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n', 'inet'],
    [`PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`, 'inet6'],
    [`PROXY UNKNOWN ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`, 'unspec'],
    ['PROXY UNKNOWN\r\n', 'unspec'],
    ['PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\n', 'inet'],
  ])('takes %j', (line, family) => {
    expect(found(Buffer.from(line))).toMatchObject({ version: 1, length: line.length, header: { family } })
  })

  it('gives IPv6 addresses in one form', () => {
    const { header } = found(Buffer.from('PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::FFFF:1.2.3.4 1 2\r\n'))
    expect(header.source).toEqual({ address: '2001:db8::1', port: 1 })
    expect(header.destination).toEqual({ address: '::ffff:1.2.3.4', port: 2 })
  })

  it.each([
    'proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rX',
    'PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 0x2\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY UNKNOWNS\r\n',
    'PROXY\r\n',
    'PROXY \r\n',
    'GET / HTTP/1.1\r\n\r\n',
    `PROXY UNKNOWN ${' '.repeat(92)}\r\n`,
  ])('refuses %j', (line) => {
    expect(parse(Buffer.from(line, 'latin1')).status).toBe('invalid')
  })

  it('refuses as soon as nothing can come of it', () => {
    expect(parse(Buffer.from('G')).status).toBe('invalid')
    expect(parse(Buffer.from('PROXY S')).status).toBe('invalid')
    expect(parse(Buffer.from('PROXY TCP ')).status).toBe('invalid')
  })
})

describe('version 2', () => {
  const example = format(2, {
    command: 'proxy',
    family: 'inet',
    source: { address: '1.2.3.4', port: 258 },
    destination: { address: '5.6.7.8', port: 443 },
  })
  const edited = (edit: (bytes: Buffer) => void, from = example): Buffer => {
    const bytes = Buffer.from(from)
    edit(bytes)
    return bytes
  }

  it('is these bytes', () => {
    expect(example.toString('hex')).toBe(`${signature.toString('hex')}2111000c0102030405060708010201bb`)
    expect(format(2, { command: 'local', family: 'unspec' }).toString('hex')).toBe(
      `${signature.toString('hex')}20000000`,
    )
  })

  it.each<[string, (bytes: Buffer) => void]>([
    ['another signature', (bytes) => bytes.fill(0, 11, 12)],
    ['version 1', (bytes) => bytes.fill(0x11, 12, 13)],
    ['an unknown command', (bytes) => bytes.fill(0x22, 12, 13)],
    ['an unknown family', (bytes) => bytes.fill(0x41, 13, 14)],
    ['an unknown transport', (bytes) => bytes.fill(0x13, 13, 14)],
    ['a family without a transport', (bytes) => bytes.fill(0x10, 13, 14)],
    ['a transport without a family', (bytes) => bytes.fill(0x01, 13, 14)],
    ['a length below the addresses', (bytes) => bytes.writeUInt16BE(11, 14)],
    ['a length beyond all bounds', (bytes) => bytes.writeUInt16BE(longestBlock + 1, 14)],
  ])('refuses %s', (_name, edit) => {
    expect(parse(edited(edit)).status).toBe('invalid')
  })

  it('reads LOCAL whatever it carries', () => {
    const local = edited((bytes) => {
      bytes[12] = 0x20
      bytes[13] = 0xff
    })
    expect(found(local)).toEqual({
      status: 'header',
      version: 2,
      length: 28,
      header: { command: 'local', family: 'unspec' },
    })
  })

  it('skips what a header without a family carries', () => {
    expect(found(edited((bytes) => bytes.fill(0, 13, 14)))).toMatchObject({
      length: 28,
      header: { command: 'proxy', family: 'unspec' },
    })
  })

  it.each([
    ['a field without its length', '0100'],
    ['a field longer than the header', '01000261'],
    ['a checksum that is short', '030003000000'],
    ['a checksum that does not fit', '03000400000001'],
  ])('refuses %s', (_name, field) => {
    const bytes = Buffer.concat([example, Buffer.from(field, 'hex')])
    bytes.writeUInt16BE(bytes.length - 16, 14)
    expect(parse(bytes).status).toBe('invalid')
  })

  it('checks the checksum: no other byte can be changed', () => {
    const bytes = format(2, {
      command: 'proxy',
      family: 'inet6',
      source: { address: '2001:db8::1', port: 1 },
      destination: { address: '::1', port: 2 },
      tlvs: [
        { type: 2, value: Buffer.from('example.com') },
        { type: 3, value: new Uint8Array() },
        { type: 4, value: Buffer.alloc(3) },
      ],
    })
    expect(found(bytes).header.tlvs).toHaveLength(3)
    const type = bytes.length - 6 - 7
    for (let at = 16; at < bytes.length; at++) {
      // Whoever makes the checksum another field has taken it away, as he could with the whole header.
      if (at === type) continue
      expect(
        parse(edited((copy) => copy.fill((copy[at] as number) ^ 1, at, at + 1), bytes)).status,
        `byte ${at}`,
      ).not.toBe('header')
    }
    // The check value of CRC-32C (RFC 9260 appendix B has the polynomial).
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  })

  it('refuses two checksums, a path that is no text, and gives fields that are copies', () => {
    const at = format(2, {
      command: 'proxy',
      family: 'unix',
      source: { address: '/run/a', port: 0 },
      destination: { address: '', port: 0 },
      tlvs: [{ type: 1, value: Buffer.from('h2') }],
    })
    const { header } = found(at)
    at.fill(0xff)
    expect(Buffer.from(header.tlvs?.[0]?.value ?? []).toString()).toBe('h2')
    const bad = Buffer.concat([signature, Buffer.from('213100d8', 'hex'), Buffer.alloc(216, 0xff)])
    expect(parse(bad).status).toBe('invalid')
    const zero = Buffer.from('03000400000000', 'hex')
    const two = Buffer.concat([example, zero, zero])
    two.writeUInt16BE(two.length - 16, 14)
    two.writeUInt32BE(crc32c(two), 31)
    expect(parse(two).status).toBe('invalid')
  })
})

describe('format', () => {
  const inetEnd = { address: '1.2.3.4', port: 1 }

  it('says UNKNOWN in version 1 for what it has no word for', () => {
    const both = { source: inetEnd, destination: inetEnd }
    for (const header of [
      { command: 'local', family: 'inet', ...both },
      { command: 'proxy', family: 'unspec' },
      { command: 'proxy', family: 'inet', transport: 'dgram', ...both },
      {
        command: 'proxy',
        family: 'unix',
        source: { address: '/a', port: 0 },
        destination: { address: '/b', port: 0 },
      },
    ] as const)
      expect(format(1, header).toString()).toBe('PROXY UNKNOWN\r\n')
  })

  it.each<[1 | 2 | 3, object, string]>([
    [3, { family: 'inet' }, 'version'],
    [1, { family: 'inet', source: { address: '::1', port: 1 }, destination: inetEnd }, 'source.address'],
    [
      2,
      { family: 'inet6', source: { address: '::1', port: 1 }, destination: inetEnd },
      'destination.address',
    ],
    [2, { family: 'inet', source: inetEnd }, 'destination.address'],
    [
      2,
      { family: 'inet', source: inetEnd, destination: { address: '1.2.3.4', port: 65_536 } },
      'destination.port',
    ],
    [
      1,
      { family: 'inet', source: inetEnd, destination: { address: '1.2.3.4', port: 1.5 } },
      'destination.port',
    ],
    [
      2,
      { family: 'unix', source: { address: 'a'.repeat(109), port: 0 }, destination: inetEnd },
      'source.address',
    ],
    [2, { family: 'unix', source: { address: 'a\0b', port: 0 }, destination: inetEnd }, 'source.address'],
    [
      1,
      { family: 'inet', source: inetEnd, destination: inetEnd, tlvs: [{ type: 1, value: Buffer.alloc(1) }] },
      'tlvs',
    ],
    [2, { family: 'unspec', tlvs: [{ type: 1, value: Buffer.alloc(1) }] }, 'tlvs'],
    [
      2,
      {
        family: 'inet',
        source: inetEnd,
        destination: inetEnd,
        tlvs: [{ type: 256, value: Buffer.alloc(1) }],
      },
      'tlvs[0].type',
    ],
    [
      2,
      {
        family: 'inet',
        source: inetEnd,
        destination: inetEnd,
        tlvs: [{ type: 1, value: Buffer.alloc(70_000) }],
      },
      'tlvs[0].value',
    ],
    [
      2,
      {
        family: 'inet',
        source: inetEnd,
        destination: inetEnd,
        tlvs: [1, 1].map((type) => ({ type, value: Buffer.alloc(10_000) })),
      },
      'tlvs',
    ],
    [
      2,
      {
        family: 'inet',
        source: inetEnd,
        destination: inetEnd,
        tlvs: [3, 3].map((type) => ({ type, value: Buffer.alloc(4) })),
      },
      'tlvs',
    ],
  ])('version %s can write no %j', (version, header, path) => {
    expect(() => format(version as 1, { command: 'proxy', ...header } as ProxyHeader)).toThrow(`${path}: got`)
  })
})
