/** The groups of the address that is being read: nobody else runs meanwhile. */
const groups = new Uint16Array(8)

const dotted = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/

/**
 * What an address begins with, however it is spelt: `192.0.2.7` or `2001:db8:0:1::`. IPv4 addresses within IPv6, mapped (RFC 4291 section 2.5.5.2)
 * or of NAT64 (RFC 6052), count as IPv4; a zone counts for nothing. What is no address stays as it is.
 * @param ipv4 bits, 0 to 32
 * @param ipv6 bits, 0 to 128
 */
export function ipPrefix(address: string, ipv4: number, ipv6: number): string {
  if (!address.includes(':')) return ipv4 === 32 ? address : ipv4Prefix(address, ipv4)
  if (!readIpv6(address)) return address
  if (isIpv4()) {
    const [high, low] = [groups[6] as number, groups[7] as number]
    return ipv4Prefix(`${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`, ipv4)
  }
  let text = ''
  for (let i = 0, left = ipv6; left > 0; i++, left -= 16) {
    const group = groups[i] as number
    const kept = left >= 16 ? group : group & (0xffff << (16 - left))
    text += i === 0 ? kept.toString(16) : `:${kept.toString(16)}`
  }
  return ipv6 > 112 ? text : `${text}::`
}

function ipv4Prefix(address: string, bits: number): string {
  if (bits === 32) return address
  const octets = octetsOf(address)
  if (octets === undefined) return address
  return octets.map((octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))) & 255).join('.')
}

/** The octets of an address of IPv4, without zeros before them: some read such as octal numbers. */
function octetsOf(text: string): number[] | undefined {
  const octets = dotted.exec(text)?.slice(1).map(Number)
  return octets?.every((octet) => octet <= 255) ? octets : undefined
}

/** Whether the groups are an address of IPv4: ::ffff:0:0/96 or 64:ff9b::/96. */
function isIpv4(): boolean {
  for (let i = 2; i < 5; i++) if (groups[i] !== 0) return false
  if (groups[0] === 0 && groups[1] === 0) return groups[5] === 0xffff
  return groups[0] === 0x64 && groups[1] === 0xff9b && groups[5] === 0
}

/** Reads an address of IPv6 into the groups. Gives whether it is one. */
function readIpv6(address: string): boolean {
  const zone = address.indexOf('%')
  const end = zone === -1 ? address.length : zone
  let count = 0
  /** Groups before `::`. */
  let gap = -1
  let at = 0
  if (address.startsWith('::')) {
    gap = 0
    at = 2
  }
  while (at < end) {
    if (count === 8) return false
    let value = 0
    let digits = 0
    let digit = hexDigit(address.charCodeAt(at))
    while (at < end && digit !== -1) {
      value = value * 16 + digit
      digits++
      at++
      digit = hexDigit(address.charCodeAt(at))
    }
    if (at < end && address.charCodeAt(at) === dot) {
      if (count > 6 || !readOctets(address.slice(at - digits, end), count)) return false
      count += 2
      at = end
      break
    }
    if (digits === 0 || digits > 4) return false
    groups[count++] = value
    if (at === end) break
    if (address.charCodeAt(at) !== colon) return false
    at++
    if (at < end && address.charCodeAt(at) === colon) {
      if (gap !== -1) return false
      gap = count
      at++
    } else if (at === end) return false
  }
  if (gap === -1) return count === 8
  if (count > 7) return false
  const behind = count - gap
  groups.copyWithin(8 - behind, gap, count)
  groups.fill(0, gap, 8 - behind)
  return true
}

const dot = 46
const colon = 58

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** Reads dotted octets into two groups. */
function readOctets(text: string, at: number): boolean {
  const octets = octetsOf(text)
  if (octets === undefined) return false
  const [a = 0, b = 0, c = 0, d = 0] = octets
  groups[at] = a * 256 + b
  groups[at + 1] = c * 256 + d
  return true
}
