const dot = 46
const colon = 58

/** The groups of the address that is being read: to have them anew each time would cost more than to read it. */
const groups = new Uint16Array(8)

/**
 * Reads the text of an IP address, with or without a zone (RFC 4007 section 11), and makes nothing of it but numbers: it stands in
 * the way of every request.
 * @param words where it goes: the first one of an IPv4 address, four of an IPv6 address
 * @returns the version; 0 for what is no address, as `isIP` of Node has it, but for zones: they may be named as interfaces are
 */
export function readAddress(text: string, words: Uint32Array): 0 | 4 | 6 {
  if (text.includes(':')) return readIpv6(text, words) ? 6 : 0
  const value = readIpv4(text, 0, text.length)
  if (value < 0) return 0
  words[0] = value
  return 4
}

/** The number that is an IPv4 address in dotted form; -1 for what is none. Leading zeros, which some read as octal, are none. */
function readIpv4(text: string, from: number, to: number): number {
  let value = 0
  let octet = 0
  let digits = 0
  let dots = 0
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    if (code === dot) {
      if (digits === 0 || dots === 3) return -1
      value = value * 256 + octet
      octet = 0
      digits = 0
      dots++
    } else {
      if (code < 48 || code > 57 || (digits > 0 && octet === 0)) return -1
      octet = octet * 10 + code - 48
      digits++
      if (octet > 255) return -1
    }
  }
  return dots === 3 && digits > 0 ? value * 256 + octet : -1
}

/** The forms of RFC 4291 section 2.2. */
function readIpv6(text: string, words: Uint32Array): boolean {
  const zone = text.indexOf('%')
  if (zone === text.length - 1) return false
  const end = zone < 0 ? text.length : zone
  let count = 0
  /** Before which group the zeros stand that `::` is for. */
  let gap = -1
  let i = 0
  if (text.charCodeAt(0) === colon) {
    if (text.charCodeAt(1) !== colon) return false
    gap = 0
    i = 2
  }
  while (i < end) {
    if (count === 8) return false
    const start = i
    let value = 0
    for (let digit = 0; i < end; i++) {
      digit = hexDigit(text.charCodeAt(i))
      if (digit < 0) break
      if (i - start === 4) return false
      value = value * 16 + digit
    }
    if (i < end && text.charCodeAt(i) === dot) {
      const tail = readIpv4(text, start, end)
      if (tail < 0 || count > 6) return false
      groups[count++] = tail >>> 16
      groups[count++] = tail & 0xffff
      break
    }
    if (i === start) return false
    groups[count++] = value
    if (i === end) break
    if (text.charCodeAt(i) !== colon || ++i === end) return false
    if (text.charCodeAt(i) === colon) {
      if (gap >= 0) return false
      gap = count
      i++
    }
  }
  if (gap < 0 ? count !== 8 : count === 8) return false
  if (gap >= 0) {
    groups.copyWithin(8 - count + gap, gap, count)
    groups.fill(0, gap, 8 - count + gap)
  }
  for (let w = 0; w < 4; w++) words[w] = (groups[2 * w] as number) * 0x10000 + (groups[2 * w + 1] as number)
  return true
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const letter = code | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
