import { type ServerResponse, STATUS_CODES } from 'node:http'
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { get, type HeaderList, isFieldName, isFieldValue } from '@sluice/headers'
import { http2Fields } from './connection-fields.js'
import type { Context } from './context.js'
import { onEndSent } from './end-sent.js'
import { isSendable, notSendable } from './http2-head-size.js'
import { ProxyError } from './proxy-error.js'
import type { Reply } from './reply.js'
import { resetSocket } from './reset-socket.js'
import { webSocketAccept } from './websocket-handshake.js'

/** The client's end of what may become a tunnel: a connection of HTTP/1.1, or a stream of HTTP/2. */
export interface TunnelEnd {
  readonly duplex: Duplex
  /** The client asked for it by CONNECT without a protocol: a 2xx opens it, and no 101. */
  readonly connect: boolean
  /** To the client any 2xx says that the tunnel is open (RFC 9110 section 9.3.6, RFC 8441 section 5). */
  readonly opensBySuccess: boolean
  /** Why a reply that would open it can't be believed. */
  judge(ctx: Context, reply: Reply): ProxyError | undefined
  /**
   * Says to the client that from here on its bytes are the tunnel's.
   * @returns the status that says so
   */
  open(reply: Reply): number
  /** Whether the client has torn it down and not ended it. */
  readonly reset: boolean
  /** Calls `fn` when the end of our half, which has finished, has gone out. */
  onEndSent(fn: () => void): void
  /** Tears it down so that the client can tell. */
  abort(): void
}

/** On HTTP/1.1, after the `upgrade` or `connect` event. */
export class SocketEnd implements TunnelEnd {
  readonly reset = false

  constructor(
    readonly duplex: Duplex,
    private readonly res: ServerResponse,
    readonly connect: boolean,
  ) {}

  get opensBySuccess(): boolean {
    return this.connect
  }

  /** The client itself looks at Sec-WebSocket-Accept: the key is its own. */
  judge(): undefined {}

  open({ status, headers, head }: Reply): number {
    const { duplex, res } = this
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'OK'}\r\n`
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      const value = headers[i + 1] as string
      // Written by hand, so nothing else keeps a line break in a value from becoming a field.
      if (!frames(name) && isFieldName(name) && isFieldValue(value)) text += `${name}: ${value}\r\n`
    }
    res.detachSocket(duplex as never)
    duplex.write(`${text}\r\n`, 'latin1')
    if (head !== undefined && head.length > 0) duplex.write(head)
    return status
  }

  onEndSent(fn: () => void): void {
    fn()
  }

  abort(): void {
    if (!resetSocket(this.duplex)) this.duplex.destroy()
  }
}

/** On HTTP/2, after a CONNECT. */
export class StreamEnd implements TunnelEnd {
  readonly duplex: ServerHttp2Stream
  readonly opensBySuccess = true

  constructor(
    stream: ServerHttp2Stream,
    readonly connect: boolean,
  ) {
    this.duplex = stream
  }

  get reset(): boolean {
    return this.duplex.rstCode !== constants.NGHTTP2_NO_ERROR
  }

  /** The key was ours, so nobody else can look. Another answer comes from something that doesn't know WebSocket. */
  judge({ upgrade, out }: Context, { headers }: Reply): ProxyError | undefined {
    if (!isSendable(this.duplex, headers)) return notSendable()
    if (upgrade !== 'websocket') return undefined
    const accept = webSocketAccept(get(out.headers, 'sec-websocket-key') ?? '')
    if (get(headers, 'sec-websocket-accept') === accept) return undefined
    return new ProxyError('http_upgrade_failed', { message: 'Sec-WebSocket-Accept is not that of the key' })
  }

  open({ status, headers, head }: Reply): number {
    const { duplex } = this
    // RFC 8441 section 5: 200 takes the place of 101, and there is no key to accept.
    const told = status === 101 ? 200 : status
    const fields: OutgoingHttpHeaders = { ':status': told }
    for (const [name, value] of http2Fields(withoutFraming(headers))) fields[name.toLowerCase()] = value
    // Node ends a stream that it resets, and the end would go ahead of the reset: a tunnel that was lost would pass for whole.
    // So the end waits, until the response that Node has made for the stream sends trailers, of which there are none.
    duplex.respond(fields, { waitForTrailers: true })
    if (head !== undefined && head.length > 0) duplex.write(head)
    return told
  }

  onEndSent(fn: () => void): void {
    onEndSent(this.duplex, fn)
  }

  abort(): void {
    const { duplex, connect } = this
    // RFC 9113 section 8.5 for CONNECT, RFC 8441 section 5 for what stands on it.
    duplex.close(connect ? constants.NGHTTP2_CONNECT_ERROR : constants.NGHTTP2_CANCEL)
  }
}

/** RFC 9110 sections 8.6 and 9.3.6: neither a 101 nor an answer that opens a tunnel says how long it is. */
function frames(name: string): boolean {
  return /^(content-length|transfer-encoding)$/i.test(name)
}

function withoutFraming(headers: HeaderList): HeaderList {
  const out: HeaderList = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    if (frames(name) || name.toLowerCase() === 'sec-websocket-accept') continue
    if (isFieldName(name) && isFieldValue(value)) out.push(name, value)
  }
  return out
}
