import { channel } from 'node:diagnostics_channel'
import type { Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { inspect } from 'node:util'
import debug from 'debug'
import { beforeServed } from './before-served.js'
import { firstBytes } from './first-bytes.js'
import type { Endpoint } from './header.js'
import { type Parsed, parse } from './parse.js'
import { setProxyHeader, showClient } from './socket-header.js'

const log = debug('sluice:proxy-protocol')
const refusals = channel('sluice:proxy-protocol')

/** Options of {@link acceptProxyProtocol}. */
export interface AcceptProxyProtocolOptions {
  /**
   * Whether a peer is one of one's own proxies, by its IP address as sockets spell it, but an IPv4-mapped one as IPv4; `''` on a Unix
   * socket. Only `true` counts. What it lets in may say to be anyone: a range from which clients call lets them choose their
   * address.
   */
  readonly trust: (address: string) => boolean
  /** How long a header may take in all, in ms. Default 10,000. */
  readonly timeout?: number
}

/** What `sluice:proxy-protocol` publishes: a connection that was ended for want of a header. */
export interface ProxyProtocolRefusal {
  /** The proxy's own. */
  readonly peer: Endpoint
  /** Why, for a person. */
  readonly reason: string
  /** Bytes that had come. */
  readonly bytes: number
}

/** Of Node: a longer one runs at once. */
const longestTimer = 2 ** 31 - 1

/**
 * Takes the header of the PROXY protocol (version 1 and 2) off the connections of one's own proxies, ahead of TLS and HTTP, on
 * any server of `node:net`, `tls`, `http`, `https` and `http2`. From then on the socket says who the client is, and what it
 * has connected to: `remoteAddress`, `remotePort`, `remoteFamily`, `localAddress`, `localPort` and `localFamily` of the plain
 * socket, the one of TLS and that of HTTP/2 sessions, so everything that reads them does; {@link proxyHeader} has the rest.
 * Where the header names nobody (LOCAL, UNKNOWN) they stay the connection's own, and where it names a Unix socket they are
 * `undefined`, as on a Unix socket.
 *
 * A trusted peer has to send a header: a connection without one, with a broken one, or with one that hasn't come whole in
 * time is ended, and told of by `debug` (`sluice:proxy-protocol`) and the channel of that name. A peer that isn't trusted
 * is read as if there were no such protocol: a header is garbage to TLS and HTTP, which refuse it.
 *
 * It stands by {@link beforeServed}, with what that says of listeners and of the server's close.
 * @returns undoes it; connections whose header hasn't come yet go on as they began
 * @throws TypeError for a wrong option
 */
export function acceptProxyProtocol(server: Server, options: AcceptProxyProtocolOptions): () => void {
  const { trust, timeout } = checked(options)
  const undo = beforeServed(server, (socket, serve) => {
    const peer = peerOf(socket)
    let trusted: unknown
    try {
      trusted = trust(peer.address)
    } catch (error) {
      refuse(socket, { peer, reason: `trust threw ${String(error)}`, bytes: 0 })
      return
    }
    if (trusted === true) readHeader(socket, peer, timeout, serve)
    else serve()
  })
  const showClientOfError = (_error: Error, secure: Duplex): void => showClient(secure)
  server.prependListener('secureConnection', showClient)
  server.prependListener('tlsClientError', showClientOfError)
  return () => {
    undo()
    server.off('secureConnection', showClient)
    server.off('tlsClientError', showClientOfError)
  }
}

function readHeader(socket: Socket, peer: Endpoint, timeout: number, serve: () => void): void {
  let parsed: Parsed = { status: 'more' }
  let bytes = 0
  const read = (seen: Buffer): number | undefined => {
    bytes = seen.length
    parsed = parse(seen)
    if (parsed.status === 'more') return undefined
    return parsed.status === 'header' ? parsed.length : bytes
  }
  firstBytes(socket, timeout, read, (why) => {
    const last = parsed as Parsed
    if (last.status === 'header' && why === undefined) {
      setProxyHeader(socket, last.header)
      serve()
    } else if (last.status === 'header' || why === 'gone' || (why === 'end' && bytes === 0)) {
      // A header and nothing else is how HAProxy probes, a connection and nothing else how others do.
      socket.destroy()
    } else {
      const reason =
        last.status === 'invalid'
          ? last.reason
          : why === 'end'
            ? 'it ended before its header'
            : 'the time for a header was up'
      refuse(socket, { peer, reason, bytes })
    }
  })
}

function refuse(socket: Socket, refusal: ProxyProtocolRefusal): void {
  const { peer, reason, bytes } = refusal
  if (log.enabled) log('%s:%d ended after %d bytes: %s', peer.address, peer.port, bytes, reason)
  if (refusals.hasSubscribers) refusals.publish(refusal)
  socket.destroy()
}

function peerOf({ remoteAddress = '', remotePort = 0 }: Socket): Endpoint {
  return { address: remoteAddress.replace(/^::ffff:(?=\d+\.)/i, ''), port: remotePort }
}

function checked(options: AcceptProxyProtocolOptions): Required<AcceptProxyProtocolOptions> {
  const { trust, timeout = 10_000, ...others }: AcceptProxyProtocolOptions = Object(options)
  const faults = Object.keys(others).map((name) => `${name}: unknown option, takes trust, timeout`)
  if (typeof trust !== 'function')
    faults.push(
      `trust: got ${inspect(trust)}, takes a function that says of an address whether it is trusted`,
    )
  if (typeof timeout !== 'number' || !(timeout >= 1 && timeout <= longestTimer))
    faults.push(`timeout: got ${inspect(timeout)}, takes a number of ms, 1 to ${longestTimer}`)
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  return { trust, timeout }
}
