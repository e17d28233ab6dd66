import { checksumType, crc32c } from './checksum.js'
import type { Endpoint, ProxyHeader, Tlv } from './header.js'
import { Invalid } from './invalid.js'
import { ipv4Text, ipv6Text } from './ip-address.js'
import { longestBlock } from './limits.js'

/** A whole header. */
export interface Found {
  /** Its bytes. */
  readonly length: number
  readonly header: ProxyHeader
}

const families = ['unspec', 'inet', 'inet6', 'unix'] as const
/** Bytes of both addresses with their ports. */
const sizes = { inet: 12, inet6: 36, unix: 216 } as const

/**
 * Reads a version 2 header (section 2.2) of which at least the first 16 bytes are there. `undefined` while the rest is
 * missing.
 * @throws Invalid
 */
export function parseBlock(bytes: Buffer): Found | undefined {
  const [versionAndCommand, familyAndTransport] = [bytes[12] as number, bytes[13] as number]
  if (versionAndCommand >> 4 !== 2) throw new Invalid('a version other than 2')
  const command = versionAndCommand & 0x0f
  if (command > 1) throw new Invalid('an unknown command')
  const block = bytes.readUInt16BE(14)
  if (block > longestBlock) throw new Invalid(`more than ${longestBlock} bytes`)
  const length = 16 + block
  const whole = bytes.length >= length
  // LOCAL: the ends of the connection itself count, and the rest is dropped unread, the family included.
  if (command === 0) return whole ? { length, header: { command: 'local', family: 'unspec' } } : undefined
  const family = families[familyAndTransport >> 4]
  const transport = familyAndTransport & 0x0f
  if (family === undefined || transport > 2) throw new Invalid('an unknown family or transport')
  // The receiver may take it, and ignores what it says (section 2.2).
  if (familyAndTransport === 0)
    return whole ? { length, header: { command: 'proxy', family: 'unspec' } } : undefined
  if (family === 'unspec' || transport === 0)
    throw new Invalid('a family without a transport, or the reverse')
  if (block < sizes[family]) throw new Invalid('less than the addresses take')
  if (!whole) return undefined
  const header = bytes.subarray(0, length)
  const tlvs = readTlvs(header, 16 + sizes[family])
  const [source, destination] = ends(header.subarray(16), family)
  return {
    length,
    header: {
      command: 'proxy',
      family,
      transport: transport === 1 ? 'stream' : 'dgram',
      source,
      destination,
      ...(tlvs.length === 0 ? {} : { tlvs }),
    },
  }
}

function ends(block: Buffer, family: 'inet' | 'inet6' | 'unix'): [Endpoint, Endpoint] {
  if (family === 'unix') return [pathAt(block, 0), pathAt(block, 108)]
  const size = family === 'inet' ? 4 : 16
  const text = family === 'inet' ? ipv4Text : ipv6Text
  return [0, 1].map((index) => ({
    address: text(block.subarray(index * size, (index + 1) * size)),
    port: block.readUInt16BE(2 * size + 2 * index),
  })) as [Endpoint, Endpoint]
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A path, up to its first zero. One that begins with a zero is a name of Linux's without a file. */
function pathAt(block: Buffer, at: number): Endpoint {
  const field = block.subarray(at, at + 108)
  const end = field.indexOf(0, 1)
  const named = end === -1 ? field : field.subarray(0, end)
  if (named.length === 1 && named[0] === 0) return { address: '', port: 0 }
  try {
    return { address: utf8.decode(named), port: 0 }
  } catch {
    throw new Invalid('a path that is not UTF-8')
  }
}

function readTlvs(header: Buffer, start: number): Tlv[] {
  const tlvs: Tlv[] = []
  let checked = false
  for (let at = start; at < header.length; ) {
    if (at + 3 > header.length) throw new Invalid('a field without its length')
    const type = header[at] as number
    const from = at + 3
    at = from + header.readUInt16BE(at + 1)
    if (at > header.length) throw new Invalid('a field longer than the header')
    if (type === checksumType) {
      if (checked) throw new Invalid('two checksums')
      checked = true
      if (at - from !== 4 || !fits(header, from)) throw new Invalid('a checksum that does not fit')
    }
    // A copy: what was read into belongs to the connection.
    tlvs.push({ type, value: Buffer.from(header.subarray(from, at)) })
  }
  return tlvs
}

/** The checksum is over the whole header with zeros in its own place (section 2.2.3). */
function fits(header: Buffer, at: number): boolean {
  const zeroed = Buffer.from(header)
  zeroed.fill(0, at, at + 4)
  return crc32c(zeroed) === header.readUInt32BE(at)
}
