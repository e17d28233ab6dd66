import { createHash } from 'node:crypto'
import type { ClientHttp2Stream } from 'node:http2'
import { Duplex } from 'node:stream'
import { ProxyError, type Reply } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { Deadline, type Deadlines } from './deadlines.js'
import { cancelStream, hasEnded } from './http2-stream-end.js'

type Done = (error?: Error | null) => void

/**
 * The bytes of an extended CONNECT (RFC 8441) as a socket: a half that ends is END_STREAM, a reset on either side is a
 * connection that is lost.
 *
 * open ──both halves ended──▶ closed
 *   └── destroy(), a reset, idle too long ──▶ closed, the stream is reset with CANCEL
 */
class Http2Tunnel extends Duplex {
  private readonly deadline: Deadline

  constructor(
    private readonly stream: ClientHttp2Stream,
    private readonly deadlines: Deadlines,
    /** How long no byte may move either way, in ms; 0: no limit. */
    private readonly idle: number,
  ) {
    super({ allowHalfOpen: true })
    this.deadline = new Deadline(() => {
      const message = `the tunnel was idle for ${idle} ms`
      this.destroy(new ProxyError('connection_read_timeout', { message }))
    })
    // Until whoever gets it listens, a reset must not end the process.
    this.on('error', () => {})
    stream.on('data', (chunk: Buffer) => {
      this.moved()
      if (!this.push(chunk)) stream.pause()
    })
    stream.on('end', () => {
      if (hasEnded(stream)) this.push(null)
    })
    stream.on('close', () => this.lost())
    stream.on('wantTrailers', () => stream.sendTrailers({}))
    this.moved()
  }

  override _read(): void {
    this.stream.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.moved()
    this.stream.write(chunk, done)
  }

  override _final(done: Done): void {
    this.stream.end(() => done())
  }

  override _destroy(error: Error | null, done: Done): void {
    this.deadlines.drop(this.deadline)
    const { stream } = this
    if (!hasEnded(stream) || !stream.writableFinished) cancelStream(stream)
    done(error)
  }

  private lost(): void {
    if (hasEnded(this.stream)) return
    this.destroy(new ProxyError('http_upgrade_failed', { message: 'the target reset the tunnel' }))
  }

  private moved(): void {
    if (!this.destroyed) this.deadlines.set(this.deadline, this.idle)
  }
}

/** RFC 6455 section 1.3. */
const webSocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/**
 * The target's consent to an extended CONNECT as the 101 that HTTP/1.1 has for it.
 * @param key the request's `Sec-WebSocket-Key`, which never reached the target: its answer is made here
 */
export function upgradeReply(
  stream: ClientHttp2Stream,
  headers: HeaderList,
  protocol: string,
  key: string | undefined,
  deadlines: Deadlines,
  idle: number,
): Reply {
  headers.push('Connection', 'Upgrade', 'Upgrade', protocol)
  if (protocol === 'websocket' && key !== undefined) {
    const accept = createHash('sha1').update(`${key}${webSocketGuid}`).digest('base64')
    headers.push('Sec-WebSocket-Accept', accept)
  }
  const socket = new Http2Tunnel(stream, deadlines, idle)
  return { status: 101, version: '2.0', headers, body: null, socket }
}
