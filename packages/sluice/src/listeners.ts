import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { attach, type Handler } from '@sluice/core'
import { fault, quote } from '@sluice/options'
import { acceptProxyProtocol } from '@sluice/proxy-protocol'
import debug from 'debug'
import type { Parts } from './proxy.js'
import { createSecureServer } from './secure-server.js'
import { hardenBy, type ListenGuard, limitsOf } from './server-limits.js'

const log = debug('sluice:proxy')

/** A server that listens, whatever it speaks. */
interface Listening {
  readonly server: Server
  closeIdleConnections(): void
  closeAllConnections(): void
}

/**
 * The servers of a proxy's own.
 *
 * open ──shut()──▶ no new connections ──closeIdle()──▶ idle ones end ──end()──▶ nothing left
 */
export class Listeners {
  readonly #handler: Handler
  readonly #tls: Parts['tls']
  readonly #proxies: Parts['proxies']
  readonly #guard: ListenGuard
  readonly #open: Listening[] = []
  /** Connections of our servers that Node has handed over for a tunnel, and closes no more. */
  readonly #handedOver = new Set<Duplex>()
  #isShut = false

  constructor(handler: Handler, { tls, proxies }: Pick<Parts, 'tls' | 'proxies'>, guard: ListenGuard = {}) {
    this.#handler = handler
    this.#guard = guard
    this.#tls = tls
    this.#proxies = proxies
  }

  /** Where they listen, in the order of their beginning. */
  get addresses(): readonly AddressInfo[] {
    return this.#open.flatMap(({ server }) => (server.address() as AddressInfo | null) ?? [])
  }

  /** Somebody may have connected. */
  get isOpen(): boolean {
    return this.#open.length > 0
  }

  /**
   * One more server, of HTTPS where there are settings for it, and then the one of plain HTTP that sends its clients there.
   * @throws TypeError for what is neither, Error that says what is wrong with the port
   */
  async listen(port: number, host: string): Promise<AddressInfo> {
    // Node's own servers take options, a backlog and a callback here.
    const wrong = typeof port === 'object' || typeof port === 'function' ? port : host
    if (typeof wrong !== 'string')
      throw new TypeError(fault('listen', quote(wrong), "a port and a host, as in listen(8080, '0.0.0.0')"))
    const tls = this.#tls
    if (tls === undefined) return this.#listen(this.#plain(this.#handler), port, host)
    const secure = createSecureServer(
      tls.serverOptions,
      this.#handler,
      tls.http2,
      limitsOf(this.#guard),
      this.#guard,
    )
    const undo = tls.attach(secure.server)
    const { redirect } = tls
    let address: AddressInfo
    try {
      address = await this.#listen(secure, port, host)
      if (redirect !== undefined)
        await this.#listen(this.#plain(tls.plainHandler(address.port)), redirect.port, redirect.host ?? host)
    } catch (error) {
      undo()
      await this.#close(secure)
      throw error
    }
    tls.start()
    return address
  }

  /** Ends connections that serve nothing now. */
  closeIdle(): void {
    for (const each of this.#open) each.closeIdleConnections()
  }

  /** Accepts nobody any more. Resolves when the last connection has ended. */
  async shut(): Promise<void> {
    this.#isShut = true
    await Promise.all(
      this.#open.map(
        (each) =>
          new Promise<void>((resolve) => {
            closeKeepingIdle(each.server as HttpServer, resolve)
          }),
      ),
    )
  }

  /** Ends what is left. */
  end(): void {
    for (const each of this.#open) each.closeAllConnections()
    for (const socket of this.#handedOver) socket.destroy()
  }

  #plain(handler: Handler): Listening {
    const server = createServer(limitsOf(this.#guard))
    attach(server, handler)
    hardenBy(server, this.#guard)
    return {
      server,
      closeIdleConnections: () => server.closeIdleConnections(),
      closeAllConnections: () => server.closeAllConnections(),
    }
  }

  #listen(listening: Listening, port: number, host: string): Promise<AddressInfo> {
    if (this.#isShut) return Promise.reject(new Error('listen: the proxy is closed'))
    const { server } = listening
    const handOver = (_req: IncomingMessage, socket: Duplex): void => {
      this.#handedOver.add(socket)
      socket.once('close', () => this.#handedOver.delete(socket))
    }
    server.on('upgrade', handOver).on('connect', handOver)
    // Last, so that its header is read first.
    if (this.#proxies !== undefined) acceptProxyProtocol(server, { trust: this.#proxies })
    return new Promise((resolve, reject) => {
      const refused = (error: Error): void => reject(listenError(error, port, host))
      server.once('error', refused)
      const listens = (): void => {
        server.off('error', refused)
        // It was closed while it looked the host up, and nobody else knows of this server.
        if (this.#isShut) {
          server.close()
          reject(new Error('listen: the proxy is closed'))
          return
        }
        this.#open.push(listening)
        // A connection that the system can't hand over (no more descriptors, say) must not end the process.
        server.on('error', (error) => {
          if (log.enabled) log('accepting a connection: %O', error)
        })
        if (log.enabled) log('listening on %o', server.address())
        resolve(server.address() as AddressInfo)
      }
      try {
        server.listen({ port, host }, listens)
      } catch (error) {
        // A port that is none.
        refused(error as Error)
      }
    })
  }

  async #close(listening: Listening): Promise<void> {
    const at = this.#open.indexOf(listening)
    // It has never listened.
    if (at === -1) return
    this.#open.splice(at, 1)
    await new Promise((resolve) => {
      listening.server.close(resolve)
      listening.closeAllConnections()
    })
  }
}

/** What went wrong with a port, for the person who chose it. */
function listenError(cause: Error, port: number, host: string): Error {
  const { code } = cause as NodeJS.ErrnoException
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const why: Record<string, string> = {
    EADDRINUSE: 'the port is in use: choose another, or 0 for a free one',
    EACCES: 'not allowed: ports below 1024 want privileges, choose a higher one',
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'there is no such host',
    ERR_SOCKET_BAD_PORT: 'a port is a whole number from 0 to 65535',
  }
  const error = new Error(`cannot listen on ${where}: ${why[code ?? ''] ?? cause.message}`, { cause })
  return Object.assign(error, { code })
}

/** Node's servers of HTTP end idle connections as they close, also one with a request in its buffer that nobody has read yet. */
function closeKeepingIdle(server: HttpServer, closed: () => void): void {
  server.closeIdleConnections = () => {}
  server.close(closed)
  Reflect.deleteProperty(server, 'closeIdleConnections')
}
