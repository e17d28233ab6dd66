import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { longestHello, readClientHello } from './client-hello.js'

const bytesOf = (length: number, size: number): Buffer => {
  const bytes = Buffer.alloc(size)
  bytes.writeUIntBE(length, 0, size)
  return bytes
}
const vector = (size: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([bytesOf(body.length, size), body])
}
const text = (value: string): Buffer => Buffer.from(value, 'latin1')
const extension = (type: number, body: Uint8Array): Buffer =>
  Buffer.concat([bytesOf(type, 2), vector(2, body)])
const nameExtension = (name: string, kind = 0): Buffer =>
  extension(0, vector(2, Buffer.concat([bytesOf(kind, 1), vector(2, text(name))])))
const alpnExtension = (...protocols: string[]): Buffer =>
  extension(16, vector(2, ...protocols.map((protocol) => vector(1, text(protocol)))))

/** A message with these extensions; without any, as TLS 1.2 may have it. */
function message(extensions?: readonly Uint8Array[], behind: Uint8Array = Buffer.alloc(0)): Buffer {
  const fixed = [
    Buffer.alloc(34, 3),
    vector(1),
    vector(2, Buffer.from('1301', 'hex')),
    vector(1, Buffer.alloc(1)),
  ]
  const body = Buffer.concat([...fixed, ...(extensions ? [vector(2, ...extensions)] : []), behind])
  return Buffer.concat([Buffer.from([1]), vector(3, body)])
}

/** The message in records of these sizes, the rest in a last one. */
function records(whole: Uint8Array, sizes: readonly number[] = []): Buffer {
  const parts: Buffer[] = []
  let at = 0
  for (const size of [...sizes, 16_384, 16_384]) {
    if (at >= whole.length) break
    parts.push(Buffer.concat([Buffer.from('160301', 'hex'), vector(2, whole.subarray(at, at + size))]))
    at += size
  }
  return Buffer.concat(parts)
}

/** What Node's own client says first. */
function nodes(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({ read() {}, write: (chunk: Buffer) => resolve(chunk) })
    connect({ socket, ...options }).on('error', () => {})
  })
}

const protocol = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 })
const other = fc
  .tuple(fc.integer({ min: 17, max: 65_535 }), fc.uint8Array({ maxLength: 40 }))
  .map(([type, body]) => extension(type, body))
const hello = fc.record({
  servername: fc.option(fc.domain(), { nil: undefined }),
  alpn: fc.array(protocol, { maxLength: 4 }),
  others: fc.array(other, { maxLength: 4 }),
})
const built = hello.map(({ servername, alpn, others }) => {
  const extensions = [
    ...(servername === undefined ? [] : [nameExtension(servername)]),
    ...others,
    ...(alpn.length === 0 ? [] : [alpnExtension(...alpn)]),
  ]
  return {
    whole: message(extensions),
    expected: { alpn, ...(servername === undefined ? {} : { servername }) },
  }
})
const split = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 })

describe('a client’s first message', () => {
  it.each([
    ['TLS 1.3', { minVersion: 'TLSv1.3' }],
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }],
    ['both', {}],
  ] as const)('of Node is read: %s', async (_name, versions) => {
    expect(
      readClientHello(await nodes({ ...versions, servername: 'a.test', ALPNProtocols: ['h2', 'x'] })),
    ).toEqual({
      servername: 'a.test',
      alpn: ['h2', 'x'],
    })
    expect(readClientHello(await nodes(versions))).toEqual({ alpn: [] })
  })

  it('is read from records of any size, whatever follows', () => {
    fc.assert(
      fc.property(built, split, fc.uint8Array({ maxLength: 20 }), ({ whole, expected }, sizes, rest) => {
        expect(readClientHello(Buffer.concat([records(whole, sizes), rest]))).toEqual(expected)
      }),
    )
  })

  it('asks for more after every beginning', () => {
    fc.assert(
      fc.property(built, split, ({ whole }, sizes) => {
        const bytes = records(whole, sizes)
        for (let size = 0; size < bytes.length; size++)
          expect(readClientHello(bytes.subarray(0, size))).toBe('more')
      }),
      { numRuns: 30 },
    )
  })

  it('may have no extensions', () => {
    expect(readClientHello(records(message()))).toEqual({ alpn: [] })
    expect(readClientHello(records(message([])))).toEqual({ alpn: [] })
  })

  it('is read up to its longest size, and not beyond', () => {
    const empty = message([extension(99, Buffer.alloc(0))]).length
    const filled = (size: number): Buffer => records(message([extension(99, Buffer.alloc(size - empty))]))
    expect(readClientHello(filled(longestHello))).toEqual({ alpn: [] })
    expect(readClientHello(filled(longestHello + 1))).toBe('none')
    expect(readClientHello(filled(longestHello + 1).subarray(0, 9)), 'known by its head').toBe('none')
  })
})

describe('what is none', () => {
  const list = (...bytes: number[]): Buffer => extension(16, Buffer.from(bytes))
  it.each<[string, Uint8Array]>([
    ['HTTP', text('GET / HTTP/1.1\r\n\r\n')],
    ['a PROXY header', text('PROXY UNKNOWN\r\n')],
    ['a record of another kind', Buffer.from('150301000201', 'hex')],
    ['another version', Buffer.from('1602', 'hex')],
    ['an empty record', Buffer.from('1603010000', 'hex')],
    ['a record too long', Buffer.from('1603014001', 'hex')],
    ['another message', Buffer.from('160301000102', 'hex')],
    [
      'a record of another kind in the middle',
      Buffer.concat([records(message(), [9]).subarray(0, 14), Buffer.from([23])]),
    ],
    ['records without end', records(message([nameExtension('a'.repeat(200))]), Array(100).fill(1))],
    ['bytes behind the extensions', records(message([], Buffer.alloc(1)))],
    ['two names', records(message([nameExtension('a.test'), nameExtension('a.test')]))],
    ['a name of another kind', records(message([nameExtension('a.test', 1)]))],
    ['an empty name', records(message([nameExtension('')]))],
    ['a name with a zero', records(message([nameExtension('a.test\0.b')]))],
    ['no name in its extension', records(message([extension(0, Buffer.alloc(0))]))],
    ['protocols twice', records(message([alpnExtension('a'), alpnExtension('a')]))],
    ['no protocol in its extension', records(message([list(0, 0)]))],
    ['an empty protocol', records(message([list(0, 1, 0)]))],
    ['a protocol longer than its list', records(message([list(0, 2, 9, 97)]))],
    ['a list longer than its extension', records(message([list(0, 9, 1, 97)]))],
    ['bytes behind a list', records(message([list(0, 2, 1, 97, 0)]))],
    ['an extension longer than all of them', records(message([Buffer.from([0, 99, 0, 9])]))],
    ['half an extension', records(message([Buffer.from([0])]))],
  ])('%s', (_name, bytes) => {
    expect(readClientHello(bytes)).toBe('none')
  })

  it('never throws, and a verdict stays what it is when more comes', () => {
    const mutated = fc
      .tuple(built, split, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }))
      .map(([{ whole }, sizes, edits]) => {
        const bytes = records(whole, sizes)
        for (const [at, value] of edits) bytes[at % bytes.length] = value
        return bytes
      })
    const any = fc.uint8Array({ maxLength: 200 })
    const headed = any.map((bytes) => Buffer.concat([Buffer.from('16030100c8010000c40303', 'hex'), bytes]))
    fc.assert(
      fc.property(fc.oneof(any, headed, mutated), (bytes) => {
        let last: ReturnType<typeof readClientHello> = 'more'
        for (let size = 0; size <= bytes.length; size++) {
          const now = readClientHello(bytes.subarray(0, size))
          if (last !== 'more') expect(now).toEqual(last)
          last = now
        }
      }),
      { numRuns: 200 },
    )
  })
})
