import { isIPv4, isIPv6 } from 'node:net'

/** The four bytes of an IPv4 address; `undefined` for what is none. */
export function ipv4Bytes(text: string): Buffer | undefined {
  return isIPv4(text) ? Buffer.from(text.split('.').map(Number)) : undefined
}

/** The sixteen bytes of an IPv6 address without a zone; `undefined` for what is none. */
export function ipv6Bytes(text: string): Buffer | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined
  const dotted = ipv4Bytes(text.slice(text.lastIndexOf(':') + 1))
  const hex =
    dotted === undefined ? text : `${text.slice(0, text.lastIndexOf(':') + 1)}${groupsOf(dotted).join(':')}`
  const [head = '', tail] = hex.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right]
  const bytes = Buffer.alloc(16)
  groups.forEach((group, i) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2)
  })
  return bytes
}

/** An IPv4 address as text. */
export function ipv4Text(bytes: Uint8Array): string {
  return bytes.join('.')
}

/** An IPv6 address as text, in the one form of RFC 5952: small letters, the longest run of zeros left out. */
export function ipv6Text(bytes: Uint8Array): string {
  const groups = groupsOf(bytes)
  const mapped = groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff'
  if (mapped) return `::ffff:${ipv4Text(bytes.subarray(12))}`
  let start = 0
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && groups[end] === '0') end++
    if (end - i > length) {
      start = i
      length = end - i
    }
  }
  if (length === 1) return groups.join(':')
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`
}

function groupsOf(bytes: Uint8Array): string[] {
  const groups: string[] = []
  for (let i = 0; i < bytes.length; i += 2)
    groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16))
  return groups
}
