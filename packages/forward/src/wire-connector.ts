import { connect as connectTcp, isIP, type Socket, type TcpNetConnectOpts } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls'
import { ProxyError } from '@sluice/core'
import { pinFault, type Target, tlsOptions } from '@sluice/upstream'
import { addressPatience } from './address-patience.js'
import { type ConnectHook, lookupOf, refusal, refusedSocket } from './connect-hook.js'
import { Deadline, type Deadlines } from './deadlines.js'
import { proxyHeader } from './proxy-header.js'
import type { Connector } from './wire-pool.js'

/**
 * The last session with each target: the next handshake takes it up, which spares both sides the costly part of it. It
 * outlives the pool, whose end is the first thing that happens to a target that is seldom used. A session speaks for the client
 * certificate that it began with, so it is none for the next one.
 */
const sessions = new WeakMap<SecureContext, Buffer>()

/** How connections are opened. */
export interface ConnectSettings {
  /**
   * The version of the header that each connection begins with, ahead of TLS. It names one client, so the connection is made
   * for one exchange.
   */
  readonly proxyProtocol?: 1 | 2 | undefined
  /** Says where connections may go, and resolves names. */
  readonly connect?: ConnectHook | undefined
  /** Where connections come from, if the system isn't to choose. */
  readonly localAddress?: string | undefined
}

/** Opens sockets to a target: TCP, TLS over it, or a Unix socket. */
export function wireConnector(target: Target, deadlines: Deadlines, settings: ConnectSettings): Connector {
  const { proxyProtocol, connect: hook, localAddress } = settings
  const { host, connect, secure, isNamed } = addressOf(target)
  const secured = (options: ConnectionOptions): TLSSocket => {
    const tls = tlsOptions(target, ['http/1.1'])
    const session = sessions.get(tls.secureContext)
    const socket = connectTls({ ...options, ...tls, ...(session === undefined ? {} : { session }) })
    socket.on('session', (ticket: Buffer) => {
      // One of a target that was refused must not spare it the check next time.
      if (!socket.destroyed) sessions.set(tls.secureContext, ticket)
    })
    return socket
  }

  return {
    host,
    perExchange: proxyProtocol !== undefined,
    secure,
    connect(connection, plain, timeout, client, done, failed) {
      const addresses = isNamed ? addressPatience.begin(target, timeout) : undefined
      const options = {
        ...connect,
        lookup: lookupOf(hook),
        ...(localAddress === undefined ? {} : { localAddress }),
        autoSelectFamilyAttemptTimeout: addresses?.timeout,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 60_000,
        // The target of a tunnel may end its half and still read (RFC 9293 section 3.6).
        ...(plain ? { allowHalfOpen: true } : { onread: connection.into }),
      } as unknown as TcpNetConnectOpts & ConnectionOptions
      let failure: Error | undefined
      const deadline = new Deadline(() => {
        connection.socket.destroy(
          new ProxyError('connection_timeout', { message: `not connected within ${timeout} ms` }),
        )
      })
      deadlines.set(deadline, timeout)

      const onError = (error: Error): void => {
        failure ??= error
      }
      const onClose = (): void => {
        deadlines.drop(deadline)
        failed(failure ?? new ProxyError('connection_refused'))
      }
      const begin = (socket: Socket): void => {
        connection.socket = socket
        socket.on('error', onError)
        socket.once('close', onClose)
      }
      const ready = (socket: Socket): void => {
        deadlines.drop(deadline)
        socket.off('error', onError)
        socket.off('close', onClose)
        if (plain) connection.openPlain(socket)
        else connection.open(socket)
        done(socket)
      }
      const handshake = (socket: TLSSocket): void => {
        begin(socket)
        socket.once('secureConnect', () => {
          const fault = pinFault(target, socket)
          if (fault === undefined) ready(socket)
          else socket.destroy(fault)
        })
      }

      const refused = refusal(hook, connect)
      if (refused !== undefined) {
        begin(refusedSocket(refused))
        return
      }
      if (secure && proxyProtocol === undefined) {
        const socket = secured(options)
        addresses?.watch(socket)
        handshake(socket)
        return
      }
      const socket = connectTcp(options)
      addresses?.watch(socket)
      begin(socket)
      socket.once('connect', () => {
        if (proxyProtocol !== undefined) {
          try {
            socket.write(proxyHeader(proxyProtocol, client))
          } catch (error) {
            // Without its header the connection would name the proxy as the client.
            socket.destroy(new ProxyError('proxy_internal_error', { cause: error }))
            return
          }
        }
        if (!secure) {
          ready(socket)
          return
        }
        // From here on the socket of TLS tells how it ends; an error of the one below is still caught by `onError`.
        socket.off('close', onClose)
        handshake(secured({ socket }))
      })
    },
  }
}

interface Where {
  readonly host: string
  readonly connect: { readonly path: string } | { readonly host: string; readonly port: number }
  readonly secure: boolean
  /** By a name, which may have several addresses. */
  readonly isNamed: boolean
}

/** Where a target's URL leads, and what `Host` says to it. */
export function addressOf(target: Target): Where {
  const { url } = target
  if (url.startsWith('unix:'))
    return { host: 'localhost', connect: { path: url.slice('unix:'.length) }, secure: false, isNamed: false }
  const { protocol, hostname, port, host } = new URL(url)
  const secure = protocol === 'https:'
  const connect = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (secure ? 443 : 80) }
  return { host, connect, secure, isNamed: isIP(connect.host) === 0 }
}
