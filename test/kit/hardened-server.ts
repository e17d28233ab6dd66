import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer as createHttp2, createSecureServer as createHttp2Secure } from 'node:http2'
import type { AddressInfo, Server, Socket } from 'node:net'
import { type HardenOptions, harden, serverOptions } from '@sluice/guard'
import type { X509Pair } from './x509.js'

/** A server that `harden` watches. */
export interface HardenedServer {
  readonly port: number
  /** Looks at all connections, so much later. */
  look(ms: number): void
  /** Takes the next turn that was asked for. @returns whether there was one */
  turn(): boolean
  readonly refused: Readonly<Record<string, number>>
  readonly server: Server
  close(): void
}

/** A kind of server. */
export interface ServerKind {
  readonly name: string
  readonly tls: boolean
  make(options: object, listener: RequestListener): Server
}

/** Servers of HTTP/2. @param pair gives the certificate as one is made */
export function http2Kinds(pair: () => X509Pair): ServerKind[] {
  return [
    { name: 'http2', tls: false, make: (options, listener) => createHttp2(options, listener as never) },
    {
      name: 'http2 over TLS',
      tls: true,
      make: (options, listener) => createHttp2Secure({ ...options, ...pair() }, listener as never) as Server,
    },
  ]
}

/**
 * Starts one.
 * @param byHand it looks at its connections when the test says so, and by the test's time
 */
export async function hardenedServer(
  kind: ServerKind,
  listener: RequestListener,
  options: HardenOptions,
  byHand = false,
): Promise<HardenedServer> {
  const { slow: _, ...limits } = options
  const server = kind.make(serverOptions(limits), (req, res) => {
    req.on('error', () => {})
    res.on('error', () => {})
    listener(req, res)
  })
  let now = 0
  const turns: (() => void)[] = []
  /** The looks, and the work that comes of them more often. */
  const timers = new Map<() => void, number>()
  const due = (of: (ms: number) => boolean): (() => void) | undefined =>
    [...timers].find(([, ms]) => of(ms))?.[0]
  const looks = (): void => due((ms) => ms !== 5)?.()
  const seams = {
    now: () => now,
    every: (ms: number, fn: () => void) => {
      timers.set(fn, ms)
      return () => void timers.delete(fn)
    },
    soon: (fn: () => void) => void turns.push(fn),
  }
  const { refused } = byHand ? harden(server, options, 'harden', seams) : harden(server, options)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    refused,
    server,
    look: (ms) => {
      // A server counts no more than two of its intervals at once.
      for (const end = now + ms; now < end; looks()) now += 15
    },
    turn: () => {
      const next = turns.shift() ?? due((ms) => ms === 5)
      next?.()
      return next !== undefined
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
