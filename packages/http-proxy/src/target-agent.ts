import { Agent, type ClientRequest } from 'node:http'
import { connect as connectTcp, type Socket, type TcpNetConnectOpts } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls'
import { readBeforeDestroy } from '@sluice/forward'
import { pinFault, type Target, tlsOptions } from '@sluice/upstream'

/** How long a connection may be idle, in ms. A target may ask for less. */
const idleFor = 60_000

/**
 * The last session with each target: the next handshake takes it up, which spares both sides the costly part of it. It speaks for
 * the client certificate that it began with, so it is none for the next one.
 */
const sessions = new WeakMap<SecureContext, Buffer>()

/** Settings of a {@link TargetAgent}. */
export interface TargetAgentSettings {
  /** Connections at most; 0: no limit. */
  readonly connections: number
  /** Whether connections are kept for the next request. If not, the target may end its half and still read. */
  readonly kept: boolean
  /** Calls back when a connection has opened, and when it has closed. */
  opened(socket: Socket): void
  closed(socket: Socket): void
}

/**
 * Connections to one target, for Node's HTTP client: by the target's own TLS settings and address, whatever http-proxy says.
 * A kept one that gets bytes while nobody has asked for any is closed: they would be taken for the next answer.
 */
export class TargetAgent extends Agent {
  readonly protocol: string
  readonly defaultPort: number
  private readonly place: ConnectionOptions & Partial<TcpNetConnectOpts>
  private readonly secure: boolean
  private ending = false

  constructor(
    private readonly target: Target,
    private readonly settings: TargetAgentSettings,
  ) {
    super({
      keepAlive: settings.kept,
      timeout: idleFor,
      scheduling: 'lifo',
      ...(settings.connections === 0 ? {} : { maxSockets: settings.connections }),
    })
    const { url } = target
    const secure = url.startsWith('https:')
    this.protocol = secure ? 'https:' : 'http:'
    this.defaultPort = secure ? 443 : 80
    this.secure = secure
    this.place = placeOf(url)
  }

  override createConnection(): Socket {
    const { place, secure, settings } = this
    const options = {
      ...place,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      allowHalfOpen: !settings.kept,
    }
    const socket = secure ? this.secured(options) : connectTcp(options as TcpNetConnectOpts)
    readBeforeDestroy(socket)
    settings.opened(socket)
    const closed = (): void => settings.closed(socket)
    socket.once('close', closed)
    // What it has been upgraded to is the tunnel's.
    socket.once('agentRemove', closed)
    return socket
  }

  override keepSocketAlive(socket: Socket): boolean {
    if (this.ending) return false
    // Its types say nothing of what it returns.
    if ((super.keepSocketAlive(socket) as unknown as boolean) === false) return false
    socket.once('data', unasked)
    return true
  }

  override reuseSocket(socket: Socket, request: ClientRequest): void {
    socket.off('data', unasked)
    super.reuseSocket(socket, request)
  }

  /** Ends idle connections now and the others after their exchange. */
  end(): void {
    this.ending = true
    for (const sockets of Object.values(this.freeSockets))
      for (const socket of sockets ?? []) socket.destroy()
  }

  private secured(options: ConnectionOptions): TLSSocket {
    const tls = tlsOptions(this.target, ['http/1.1'])
    const session = sessions.get(tls.secureContext)
    const socket = connectTls({ ...options, ...tls, ...(session === undefined ? {} : { session }) })
    // Nothing goes to a target with the wrong pin: what was written before would go out as the handshake ends.
    socket.cork()
    socket.once('secureConnect', () => {
      const fault = pinFault(this.target, socket)
      if (fault === undefined) socket.uncork()
      else socket.destroy(fault)
    })
    socket.on('session', (ticket: Buffer) => {
      // One of a target that was refused must not spare it the check next time.
      if (!socket.destroyed) sessions.set(tls.secureContext, ticket)
    })
    return socket
  }
}

function placeOf(url: string): { path: string } | { host: string; port: number } {
  if (url.startsWith('unix:')) return { path: url.slice('unix:'.length) }
  const { protocol, hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (protocol === 'https:' ? 443 : 80) }
}

function unasked(this: Socket): void {
  this.destroy()
}
