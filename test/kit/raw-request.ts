import { connect, type Socket } from 'node:net'
import { deferred, until } from './until.js'

/** One response, taken out of raw bytes. */
export interface RawResponse {
  readonly status: number
  readonly statusLine: string
  /** Names and values as they were sent. */
  readonly headers: string[]
  readonly body: Buffer
  readonly trailers: string[]
  /** The body came to its own end; `false` for one that was cut off. */
  readonly complete: boolean
  /** Only the connection's end tells where the body ends. */
  readonly untilClose: boolean
}

/** A connection that speaks bytes. */
export interface RawClient {
  readonly socket: Socket
  /** Every byte received so far. */
  readonly received: Buffer
  /** The same as text, one character a byte. */
  readonly text: string
  /** How the connection has closed, if it has. */
  readonly ended: 'open' | 'end' | 'reset'
  write(bytes: string | Uint8Array): void
  /** Waits until what was received holds `mark`. Rejects when the connection closes before. */
  until(mark: string): Promise<void>
  /** Waits for so many whole final responses. Rejects when the connection closes before. */
  responses(count?: number, methods?: readonly string[]): Promise<RawResponse[]>
  /** Resolves when the connection has closed. */
  readonly closed: Promise<void>
  /** Leaves: with a reset, so that the other end hears at once. */
  reset(): void
  close(): void
}

/** Opens a connection to a port of 127.0.0.1. A string that is written is latin1. */
export async function rawClient(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<RawClient> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    allowHalfOpen: options.allowHalfOpen ?? false,
  })
  let received = Buffer.alloc(0)
  let ended: 'open' | 'end' | 'reset' = 'open'
  const closed = deferred()
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
  })
  socket.on('end', () => {
    ended = 'end'
  })
  socket.on('error', () => {
    ended = 'reset'
  })
  socket.on('close', () => closed.resolve())
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const waitFor = <T>(found: () => T | undefined | false, what: () => string): Promise<T> =>
    until(() => {
      const value = found()
      if (value !== undefined && value !== false) return value
      if (socket.destroyed || ended !== 'open') throw new Error(`the connection closed before ${what()}`)
      return undefined
    }, what)
  return {
    socket,
    closed: closed.promise,
    get received() {
      return received
    },
    get text() {
      return received.toString('latin1')
    },
    get ended() {
      return ended
    },
    write: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    until: async (mark) => {
      await waitFor(
        () => received.includes(mark),
        () =>
          `${JSON.stringify(mark)}; received ${JSON.stringify(received.toString('latin1').slice(0, 400))}`,
      )
    },
    responses: (count = 1, methods = []) =>
      waitFor(
        () => {
          const list = parseResponses(received, methods)
          return list.filter((each) => each.complete).length >= count && list
        },
        () => `${count} response(s); received ${JSON.stringify(received.toString('latin1').slice(0, 400))}`,
      ),
    reset: () => void socket.resetAndDestroy(),
    close: () => void socket.destroy(),
  }
}

/** What a raw exchange gave. */
export interface RawExchange {
  readonly bytes: Buffer
  readonly text: string
  /** Final responses and informational ones, in order. */
  readonly responses: RawResponse[]
  /** Whether the other end closed, and how; `open` if it was us who left after the last response. */
  readonly ended: 'open' | 'end' | 'reset'
}

/**
 * Sends bytes on a fresh connection and reads: until the server closes, or until `responses` whole final responses have
 * come (then the connection is closed by us).
 * @param until how many final responses to wait for; without it, for the server's close
 */
export async function rawRequest(
  port: number,
  bytes: string | Uint8Array,
  options: { responses?: number; methods?: readonly string[] } = {},
): Promise<RawExchange> {
  const { responses, methods = [] } = options
  const client = await rawClient(port)
  client.write(bytes)
  const finals = (): RawResponse[] =>
    parseResponses(client.received, methods).filter((each) => each.status >= 200)
  await until(
    () =>
      client.socket.destroyed ||
      client.ended !== 'open' ||
      (responses !== undefined &&
        finals().filter((each) => each.complete && !each.untilClose).length >= responses),
    () =>
      `the answer to ${JSON.stringify(String(bytes).slice(0, 80))}; received ${JSON.stringify(client.text.slice(0, 200))}`,
  ).finally(() => client.close())
  const { received, ended } = client
  return {
    bytes: received,
    text: received.toString('latin1'),
    responses: parseResponses(received, methods),
    ended,
  }
}

/**
 * Takes raw bytes apart into responses, informational ones included.
 * @param methods methods of the requests in order; a HEAD's answer has no body whatever its fields say
 */
export function parseResponses(bytes: Buffer, methods: readonly string[] = []): RawResponse[] {
  const list: RawResponse[] = []
  let at = 0
  let finals = 0
  while (at < bytes.length) {
    const end = bytes.indexOf('\r\n\r\n', at)
    if (end === -1) break
    const [statusLine = '', ...lines] = bytes.subarray(at, end).toString('latin1').split('\r\n')
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1])
    if (Number.isNaN(status)) break
    const headers = fields(lines)
    at = end + 4
    const bodiless = status < 200 || status === 204 || status === 304 || methods[finals] === 'HEAD'
    if (status >= 200) finals++
    const { end: next, ...body } = bodiless ? { ...nothing, end: at } : readBody(bytes, at, headers)
    at = next
    list.push({ status, statusLine, headers, ...body })
    if (status === 101) break
  }
  return list
}

interface ReadBody {
  body: Buffer
  trailers: string[]
  end: number
  complete: boolean
  untilClose: boolean
}

const nothing: ReadBody = { body: Buffer.alloc(0), trailers: [], end: 0, complete: true, untilClose: false }

function readBody(bytes: Buffer, at: number, headers: readonly string[]): ReadBody {
  const length = value(headers, 'content-length')
  if (/chunked/i.test(value(headers, 'transfer-encoding') ?? '')) return readChunks(bytes, at)
  if (length === undefined) {
    return { body: bytes.subarray(at), trailers: [], end: bytes.length, complete: true, untilClose: true }
  }
  const end = Math.min(at + Number(length), bytes.length)
  const complete = end === at + Number(length)
  return { body: bytes.subarray(at, end), trailers: [], end, complete, untilClose: false }
}

function readChunks(bytes: Buffer, start: number): ReadBody {
  const chunks: Buffer[] = []
  let at = start
  for (;;) {
    const line = bytes.indexOf('\r\n', at)
    const size = line === -1 ? Number.NaN : Number.parseInt(bytes.subarray(at, line).toString('latin1'), 16)
    if (Number.isNaN(size) || (size > 0 && bytes.length < line + 4 + size)) {
      return {
        body: Buffer.concat(chunks),
        trailers: [],
        end: bytes.length,
        complete: false,
        untilClose: false,
      }
    }
    at = line + 2
    if (size === 0) break
    chunks.push(bytes.subarray(at, at + size))
    at += size + 2
  }
  const trailers: string[] = []
  for (;;) {
    const line = bytes.indexOf('\r\n', at)
    if (line === -1)
      return { body: Buffer.concat(chunks), trailers, end: bytes.length, complete: false, untilClose: false }
    const text = bytes.subarray(at, line).toString('latin1')
    at = line + 2
    if (text === '')
      return { body: Buffer.concat(chunks), trailers, end: at, complete: true, untilClose: false }
    trailers.push(...fields([text]))
  }
}

function fields(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
}

/** The first value of a field in a flat list. */
export function value(headers: readonly string[], name: string): string | undefined {
  return values(headers, name)[0]
}

/** Every value of a field in a flat list, in order. */
export function values(headers: readonly string[], name: string): string[] {
  const found: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() === name.toLowerCase()) found.push(headers[i + 1] as string)
  }
  return found
}
