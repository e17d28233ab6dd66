import { checksumType, crc32c } from './checksum.js'
import type { Endpoint, ProxyHeader, Tlv } from './header.js'
import { ipv4Bytes, ipv4Text, ipv6Bytes, ipv6Text } from './ip-address.js'
import { longestBlock } from './limits.js'
import { signature, word } from './signature.js'

/**
 * A header's bytes, to be sent ahead of everything else on a connection. A checksum field (type 0x03) is filled in, whatever
 * value it has.
 * @throws TypeError for what can't be written: an address that isn't of its family, a port beyond 65,535, fields where none
 * can be
 */
export function format(version: 1 | 2, header: ProxyHeader): Buffer {
  if (version !== 1 && version !== 2) throw new TypeError(`version: got ${String(version)}, takes 1 or 2`)
  return version === 1 ? line(header) : block(header)
}

function line(header: ProxyHeader): Buffer {
  const { command, family, transport = 'stream', tlvs = [] } = header
  if (tlvs.length > 0) throw new TypeError('tlvs: got fields, takes none in version 1')
  // UNKNOWN, without addresses: for everything but TCP over IPv4 and IPv6 (section 2.1).
  if (command === 'local' || transport === 'dgram' || (family !== 'inet' && family !== 'inet6'))
    return Buffer.concat([word, Buffer.from('UNKNOWN\r\n', 'latin1')])
  const text = (end: Endpoint | undefined, name: string): string => {
    const bytes = addressOf(end, family, name)
    return family === 'inet' ? ipv4Text(bytes) : ipv6Text(bytes)
  }
  const addresses = `${text(header.source, 'source')} ${text(header.destination, 'destination')}`
  const ports = `${portOf(header.source, 'source')} ${portOf(header.destination, 'destination')}`
  return Buffer.from(`PROXY ${family === 'inet' ? 'TCP4' : 'TCP6'} ${addresses} ${ports}\r\n`, 'latin1')
}

const families = { unspec: 0x00, inet: 0x10, inet6: 0x20, unix: 0x30 } as const

function block(header: ProxyHeader): Buffer {
  const { command, family, transport = 'stream', tlvs = [] } = header
  // Who reads LOCAL drops the rest of the header unread, and one of no family has none (section 2.2).
  const bare = command === 'local' || family === 'unspec'
  if (bare && tlvs.length > 0) throw new TypeError('tlvs: got fields, takes none without addresses')
  const body = bare ? [] : [addressesOf(header, family), ...tlvs.map(tlvBytes)]
  const length = body.reduce((sum, part) => sum + part.length, 0)
  if (length > longestBlock)
    throw new TypeError(`tlvs: got ${length} bytes with the addresses, takes ${longestBlock} at most`)
  const head = Buffer.alloc(16)
  signature.copy(head)
  head[12] = command === 'local' ? 0x20 : 0x21
  head[13] = bare ? 0x00 : families[family] | (transport === 'stream' ? 1 : 2)
  head.writeUInt16BE(length, 14)
  const bytes = Buffer.concat([head, ...body])
  const at = checksumAt(tlvs, bytes.length)
  if (at !== undefined) bytes.writeUInt32BE(crc32c(bytes), at)
  return bytes
}

function addressesOf({ source, destination }: ProxyHeader, family: 'inet' | 'inet6' | 'unix'): Buffer {
  const ends = [addressOf(source, family, 'source'), addressOf(destination, family, 'destination')]
  if (family === 'unix') return Buffer.concat(ends)
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(portOf(source, 'source'), 0)
  ports.writeUInt16BE(portOf(destination, 'destination'), 2)
  return Buffer.concat([...ends, ports])
}

function addressOf(end: Endpoint | undefined, family: 'inet' | 'inet6' | 'unix', name: string): Buffer {
  const address = end?.address ?? ''
  const bytes =
    family === 'inet' ? ipv4Bytes(address) : family === 'inet6' ? ipv6Bytes(address) : pathBytes(address)
  if (bytes === undefined)
    throw new TypeError(
      `${name}.address: got ${JSON.stringify(end?.address)}, takes one of the family ${family}`,
    )
  return bytes
}

/** A path filled up with zeros; one that begins with a zero is a name of Linux's without a file. */
function pathBytes(path: string): Buffer | undefined {
  const bytes = Buffer.alloc(108)
  const length = Buffer.byteLength(path)
  if (length > bytes.length || path.indexOf('\0', 1) !== -1 || Buffer.from(path).toString() !== path)
    return undefined
  bytes.write(path)
  return bytes
}

function portOf(end: Endpoint | undefined, name: string): number {
  const port = end?.port
  if (!Number.isInteger(port) || (port as number) < 0 || (port as number) > 65_535)
    throw new TypeError(`${name}.port: got ${String(port)}, takes a whole number up to 65535`)
  return port as number
}

function tlvBytes({ type, value }: Tlv, index: number): Buffer {
  if (!Number.isInteger(type) || type < 0 || type > 255)
    throw new TypeError(`tlvs[${index}].type: got ${String(type)}, takes a byte`)
  const content = type === checksumType ? Buffer.alloc(4) : value
  const head = Buffer.alloc(3)
  head[0] = type
  if (content.length > longestBlock)
    throw new TypeError(`tlvs[${index}].value: got ${content.length} bytes, takes ${longestBlock} at most`)
  head.writeUInt16BE(content.length, 1)
  return Buffer.concat([head, content])
}

/** Where the checksum goes in a header that ends at `end`. */
function checksumAt(tlvs: readonly Tlv[], end: number): number | undefined {
  const index = tlvs.findIndex(({ type }) => type === checksumType)
  if (index === -1) return undefined
  if (tlvs.some(({ type }, i) => type === checksumType && i > index))
    throw new TypeError('tlvs: got two checksums, takes one')
  return tlvs.slice(index + 1).reduce((at, { value }) => at - 3 - value.length, end - 4)
}
