import { createSocket } from 'node:dgram'
import { isIPv4 } from 'node:net'

/** A record as a test writes it. */
export type NameRecord =
  | { type: 'A' | 'AAAA'; address: string; ttl?: number }
  | { type: 'SRV'; target: string; port: number; priority?: number; weight?: number; ttl?: number }

/** A name server on 127.0.0.1, over UDP. */
export interface NameServer {
  /** For `Resolver.setServers`. */
  readonly address: string
  /** Records by name, to be changed at will. A name without an entry is NXDOMAIN, one with none of a type NODATA. */
  readonly records: Map<string, NameRecord[]>
  /** `A api.test` and the like, as they were asked. */
  readonly asked: string[]
  /** Types that are answered SERVFAIL. */
  readonly failing: Set<string>
  /** Types that are not answered, as long as they are in here. */
  readonly silent: Set<string>
  /** Answers what was asked for a type while it was silent, which it is no more. */
  speak(type: string): void
  close(): Promise<void>
}

const types: Readonly<Record<number, string>> = { 1: 'A', 28: 'AAAA', 33: 'SRV' }

/**
 * Starts a name server: the messages of RFC 1035, with the records of RFC 3596 and RFC 2782, and no more than the tests need. The
 * package dns2 shortens the target of SRV records, which RFC 2782 forbids and Node from 22 on refuses.
 */
export async function nameServer(records: Record<string, NameRecord[]> = {}): Promise<NameServer> {
  const zone = new Map(Object.entries(records))
  const asked: string[] = []
  const failing = new Set<string>()
  const silent = new Set<string>()
  const unanswered: { readonly type: string; readonly answer: () => void }[] = []
  const socket = createSocket('udp4')
  socket.on('message', (message, { port, address }) => {
    const { name, end } = readName(message)
    const number = message.readUInt16BE(end)
    const type = types[number] ?? String(number)
    asked.push(`${type} ${name}`)
    const answer = (): void => reply(message, name, end, number, type, port, address)
    if (silent.has(type)) unanswered.push({ type, answer })
    else answer()
  })
  const reply = (
    message: Buffer,
    name: string,
    end: number,
    number: number,
    type: string,
    port: number,
    address: string,
  ): void => {
    const found = zone.get(name.toLowerCase())
    const fails = failing.has(type)
    const answers = fails ? [] : (found ?? []).filter((record) => record.type === type)
    const header = Buffer.alloc(12)
    message.copy(header, 0, 0, 2)
    // A response, recursion desired and available; SERVFAIL, NXDOMAIN or no error.
    header.writeUInt16BE(0x8180 | (fails ? 2 : found === undefined ? 3 : 0), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(answers.length, 6)
    const question = message.subarray(12, end + 4)
    socket.send(
      Buffer.concat([header, question, ...answers.map((record) => encode(record, number))]),
      port,
      address,
    )
  }
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${socket.address().port}`,
    records: zone,
    asked,
    failing,
    silent,
    speak(type) {
      silent.delete(type)
      for (const each of unanswered.splice(0))
        if (each.type === type) each.answer()
        else unanswered.push(each)
    },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

/** The name in the question of a message, and where it ends. */
function readName(message: Buffer): { name: string; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = message[at++] ?? 0; length > 0; length = message[at++] ?? 0) {
    labels.push(message.toString('latin1', at, at + length))
    at += length
  }
  return { name: labels.join('.'), end: at }
}

function encode(record: NameRecord, type: number): Buffer {
  const data = record.type === 'SRV' ? service(record) : addressBytes(record.address)
  const head = Buffer.alloc(12)
  // The name of the question, which begins behind the header.
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(record.ttl ?? 60, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function service({ priority = 0, weight = 0, port, target }: NameRecord & { type: 'SRV' }): Buffer {
  const numbers = Buffer.alloc(6)
  for (const [i, value] of [priority, weight, port].entries()) numbers.writeUInt16BE(value, i * 2)
  const labels = target.split('.').filter((label) => label !== '')
  const encoded = labels.map((label) =>
    Buffer.concat([Buffer.of(label.length), Buffer.from(label, 'latin1')]),
  )
  return Buffer.concat([numbers, ...encoded, Buffer.of(0)])
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [left = '', right = ''] = address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const zeros = Array(8 - groups(left).length - groups(right).length).fill('0')
  const all = address.includes('::') ? [...groups(left), ...zeros, ...groups(right)] : groups(address)
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}
