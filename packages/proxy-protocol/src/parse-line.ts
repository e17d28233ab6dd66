import type { Endpoint } from './header.js'
import { Invalid } from './invalid.js'
import { ipv4Bytes, ipv4Text, ipv6Bytes, ipv6Text } from './ip-address.js'
import { longestLine } from './limits.js'
import type { Found } from './parse-block.js'

/**
 * Reads a version 1 header (section 2.1): a line of words with one space between. `undefined` while its end is missing.
 * @throws Invalid
 */
export function parseLine(bytes: Buffer): Found | undefined {
  const seen = bytes.subarray(0, longestLine)
  const end = seen.findIndex((byte) => byte < 0x20 || byte > 0x7e)
  if (end === -1 || (end === seen.length - 1 && seen[end] === 0x0d && seen.length < longestLine)) {
    if (seen.length === longestLine) throw new Invalid(`no end of line within ${longestLine} bytes`)
    const text = seen.toString('latin1', 0, end === -1 ? seen.length : end)
    checkWord(text.split(' ')[1] ?? '', end !== -1 || text.includes(' ', 6))
    return undefined
  }
  if (seen[end] !== 0x0d || seen[end + 1] !== 0x0a) throw new Invalid('a character that no line has')
  const words = seen.toString('latin1', 0, end).split(' ')
  const length = end + 2
  checkWord(words[1] as string, true)
  // What follows UNKNOWN is to be ignored.
  if (words[1] === 'UNKNOWN') return { length, header: { command: 'proxy', family: 'unspec' } }
  if (words.length !== 6) throw new Invalid('other than four words behind the protocol')
  const [, protocol, from, to, fromPort, toPort] = words as [string, string, string, string, string, string]
  const four = protocol === 'TCP4'
  return {
    length,
    header: {
      command: 'proxy',
      family: four ? 'inet' : 'inet6',
      transport: 'stream',
      source: endpoint(from, fromPort, four),
      destination: endpoint(to, toPort, four),
    },
  }
}

/** Whether the second word is one of the three, or its beginning. */
function checkWord(text: string, whole: boolean): void {
  if (!['TCP4', 'TCP6', 'UNKNOWN'].some((known) => (whole ? known === text : known.startsWith(text))))
    throw new Invalid('an unknown protocol')
}

function endpoint(address: string, port: string, four: boolean): Endpoint {
  const bytes = four ? ipv4Bytes(address) : ipv6Bytes(address)
  if (bytes === undefined) throw new Invalid(`an address that is not one of ${four ? 'IPv4' : 'IPv6'}`)
  if (!/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) throw new Invalid('a port that is none')
  return { address: four ? ipv4Text(bytes) : ipv6Text(bytes), port: Number(port) }
}
