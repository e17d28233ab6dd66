/** What a client's first message says in the clear, as far as it decides who answers. */
export interface ClientHello {
  /** The name asked for (RFC 6066 section 3), as it was sent. */
  readonly servername?: string
  /** The protocols offered (RFC 7301), the client's first choice first; empty where it offers none. */
  readonly alpn: readonly string[]
}

/**
 * Bytes of a message at most. OpenSSL takes 128 KiB, browsers send 2 with a post-quantum key; more than this must not be held
 * for a client that has said nothing yet.
 */
export const longestHello = 16 * 1024

/** Records that it may be split over. Each of a byte would make every look at it a long one. */
const mostRecords = 64

const handshake = 22
const clientHello = 1
const serverName = 0
const hostName = 0
const protocolNegotiation = 16

/**
 * Reads the message that a connection of TLS begins with, from all the bytes that have come. `'more'` while it may become one.
 * `'none'` for what isn't one, or not one to be read here: whoever serves TLS says what is wrong with it. It keeps nothing and
 * throws nothing.
 *
 * It reads the records (RFC 8446 section 5.1), over which a message may be split in any way, the message (section 4.1.2),
 * which is the same in TLS 1.2, and two of its extensions.
 */
export function readClientHello(bytes: Uint8Array): ClientHello | 'more' | 'none' {
  const message = readMessage(bytes)
  if (typeof message === 'string') return message
  try {
    return readHello(new Reader(message))
  } catch (error) {
    if (error instanceof Short) return 'none'
    throw error
  }
}

/** The message without its head, put together from its records. */
function readMessage(bytes: Uint8Array): Uint8Array | 'more' | 'none' {
  const parts: Uint8Array[] = []
  const head: number[] = []
  let have = 0
  for (let at = 0; parts.length < mostRecords; ) {
    // As far as it has come: garbage is known by its first byte.
    const [type = handshake, major = 3] = bytes.subarray(at, at + 2)
    if (type !== handshake || major !== 3) return 'none'
    if (at + 5 > bytes.length) return 'more'
    const size = at16(bytes, at + 3)
    if (size === 0 || size > 16_384) return 'none'
    const part = bytes.subarray(at + 5, at + 5 + size)
    parts.push(part)
    have += part.length
    at += 5 + size
    head.push(...part.subarray(0, 4 - head.length))
    const [kind = clientHello, high = 0, middle = 0, low = 0] = head
    const length = 4 + ((high << 16) | (middle << 8) | low)
    if (kind !== clientHello || length > longestHello) return 'none'
    if (head.length === 4 && have >= length) return joined(parts).subarray(4, length)
    if (part.length < size) return 'more'
  }
  return 'none'
}

function readHello(hello: Reader): ClientHello | 'none' {
  // Version and random, session, cipher suites, ways of compression.
  hello.take(34)
  hello.vector(1)
  hello.vector(2)
  hello.vector(1)
  const found: { servername?: string; alpn?: readonly string[] } = {}
  // Of TLS 1.2 there may be none.
  const extensions = hello.done ? new Reader(none) : hello.vector(2)
  if (!hello.done) return 'none'
  while (!extensions.done) {
    const type = extensions.number(2)
    const body = extensions.vector(2)
    if (type === serverName) {
      if (found.servername !== undefined) return 'none'
      const name = readName(body)
      if (name === undefined) return 'none'
      found.servername = name
    } else if (type === protocolNegotiation) {
      if (found.alpn !== undefined) return 'none'
      found.alpn = readProtocols(body)
      if (found.alpn.length === 0) return 'none'
    }
  }
  return { alpn: [], ...found }
}

/** The one name of a list that has room for kinds of names that nobody has made. */
function readName(body: Reader): string | undefined {
  const list = body.vector(2)
  if (list.number(1) !== hostName) return undefined
  const name = list.text(2)
  // OpenSSL refuses a zero in it; nothing else of these is part of a name either.
  return list.done && body.done && /^[!-~]+$/.test(name) ? name : undefined
}

function readProtocols(body: Reader): string[] {
  const list = body.vector(2)
  const protocols: string[] = []
  while (!list.done) protocols.push(list.text(1))
  return body.done && !protocols.includes('') ? protocols : []
}

/** What was said to be there isn't. */
class Short extends Error {}

class Reader {
  private at = 0

  constructor(private readonly bytes: Uint8Array) {}

  get done(): boolean {
    return this.at === this.bytes.length
  }

  take(count: number): Uint8Array {
    const from = this.at
    this.at += count
    if (this.at > this.bytes.length) throw new Short()
    return this.bytes.subarray(from, this.at)
  }

  number(size: 1 | 2): number {
    const taken = this.take(size)
    return size === 1 ? (taken[0] as number) : at16(taken, 0)
  }

  /** What stands behind its own length. */
  vector(size: 1 | 2): Reader {
    return new Reader(this.take(this.number(size)))
  }

  text(size: 1 | 2): string {
    return Buffer.from(this.take(this.number(size))).toString('latin1')
  }
}

const none = new Uint8Array()

function at16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
}
