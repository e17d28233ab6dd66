import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { deferred, until } from './until.js'

/** Types of frames (RFC 9113 section 6). */
export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

/** A frame that has come. */
export interface Http2Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** A client of HTTP/2 that writes frames as it is told, right or wrong. */
export interface FrameClient {
  readonly socket: Socket
  /** All frames so far. */
  readonly frames: readonly Http2Frame[]
  readonly closed: Promise<void>
  /** The code of the server's GOAWAY, once there is one. */
  readonly goaway: number | undefined
  write(bytes: Uint8Array): void
  /** A GET of `/`, or with `more` the head of a POST whose body follows. */
  request(stream: number, more?: boolean): void
  /** Waits for a frame of this type, on this stream if given. */
  frame(type: number, stream?: number): Promise<Http2Frame>
  close(): void
}

/** The bytes of one frame. */
export function http2Frame(type: number, flags: number, stream: number, payload: Uint8Array = none): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const none = Buffer.alloc(0)
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
/** `:method` GET or POST, `:scheme` http, `:path` /, `:authority` a: indexes into the static table (RFC 7541 appendix A). */
const get = Buffer.from('828684410161', 'hex')
const post = Buffer.from('838684410161', 'hex')

/** SETTINGS with these values. */
export function settingsFrame(values: Record<number, number> = {}): Buffer {
  const entries = Object.entries(values).map(([id, value]) => {
    const entry = Buffer.alloc(6)
    entry.writeUInt16BE(Number(id), 0)
    entry.writeUInt32BE(value, 2)
    return entry
  })
  return http2Frame(frameTypes.settings, 0, 0, Buffer.concat(entries))
}

/**
 * Opens a connection to a port of 127.0.0.1 and writes the preface.
 * @param settings what the client's SETTINGS say; `false`: not even the preface
 */
export async function frameClient(
  port: number,
  { tls = false, settings = {} }: { tls?: boolean; settings?: Record<number, number> | false } = {},
): Promise<FrameClient> {
  const socket = tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    : connect({ port, host: '127.0.0.1' })
  const closed = deferred()
  const frames: Http2Frame[] = []
  let left: Buffer = none
  let isOver = false
  socket.on('error', () => {})
  socket.on('close', () => {
    isOver = true
    closed.resolve()
  })
  socket.on('data', (chunk: Buffer) => {
    left = Buffer.concat([left, chunk])
    while (left.length >= 9 && left.length >= 9 + left.readUIntBE(0, 3)) {
      const length = left.readUIntBE(0, 3)
      frames.push({
        type: left[3] as number,
        flags: left[4] as number,
        stream: left.readUInt32BE(5) & 0x7f_ff_ff_ff,
        payload: left.subarray(9, 9 + length),
      })
      left = left.subarray(9 + length)
    }
  })
  await once(socket, tls ? 'secureConnect' : 'connect')
  if (settings !== false) socket.write(Buffer.concat([Buffer.from(preface), settingsFrame(settings)]))
  return {
    socket,
    frames,
    closed: closed.promise,
    get goaway() {
      return frames.find(({ type }) => type === frameTypes.goaway)?.payload.readUInt32BE(4)
    },
    write: (bytes) => void socket.write(bytes),
    request: (stream, more = false) =>
      void socket.write(http2Frame(frameTypes.headers, more ? 4 : 5, stream, more ? post : get)),
    frame: (type, stream) =>
      until(
        () => {
          const found = frames.find((each) => each.type === type && (stream ?? each.stream) === each.stream)
          if (found === undefined && isOver) throw new Error(`the connection closed before frame ${type}`)
          return found
        },
        () => `frame ${type} among ${frames.map((each) => each.type).join()}`,
      ),
    close: () => void socket.destroy(),
  }
}
