import { createRequire } from 'node:module'
import { type Outbound, ProxyError, type Reply } from '@sluice/core'
import { has } from '@sluice/headers'
import { integer, parse, that, v } from '@sluice/options'
import { connectionKey, onRetire, type Target } from '@sluice/upstream'
import debug from 'debug'
import type { buildConnector, Dispatcher, Pool } from 'undici'
import { flowingBody } from './flowing-body.js'
import { refusesHandlers } from './refuses-handlers.js'
import { sharedLookup } from './shared-lookups.js'
import type { Attempt, Transport } from './transport.js'
import { undiciConnector } from './undici-connector.js'
import { UndiciExchange } from './undici-exchange.js'
import { UndiciLine } from './undici-line.js'
import { telling } from './undici-sockets.js'
import { Upload } from './upload.js'

const log = debug('sluice:forward')
const require = createRequire(import.meta.url)

/** Options of {@link undiciTransport}. */
export interface UndiciTransportOptions {
  /** Connections to a target at most. Further requests wait for one. Default 128; 0: no limit. */
  connections?: number
  /**
   * Any `Dispatcher` of undici 7, in place of a pool for each target: a `ProxyAgent`, a `MockAgent`, one's own `Agent`. Its own
   * connect settings and limits count then, and it is its owner's to close. A target with TLS settings isn't accepted. One of
   * undici 8 goes by the `Dispatcher1Wrapper` that comes with it. By itself it is a TypeError, but for one that
   * can't be told apart, a `MockAgent`, a `RetryAgent` or one with interceptors: that refuses each request, which is 500.
   */
  dispatcher?: Dispatcher
}

const optionsSchema = v.strictObject({
  connections: v.optional(integer(0), 128),
  dispatcher: v.optional(
    that<Dispatcher>(
      (value) =>
        typeof (value as Partial<Dispatcher> | null)?.dispatch === 'function' &&
        !refusesHandlers(value as object),
      'a Dispatcher of undici 7, or one of undici 8 in its Dispatcher1Wrapper',
    ),
  ),
})

/**
 * HTTP/1.1 to targets by undici 7, with kept connections. It places Host, Connection and Content-Length itself, and doesn't
 * accept what undici can't carry: `OPTIONS *`, CONNECT, `Expect`, requests that announce trailers. Trailers that weren't
 * announced are dropped.
 *
 * Without a `dispatcher` undici is loaded by this call and not by the import.
 * @throws TypeError for a wrong option
 */
export function undiciTransport(options: UndiciTransportOptions = {}): Transport {
  return new UndiciTransport(parse(optionsSchema, options, 'undiciTransport') as UndiciSettings)
}

type Undici = typeof import('undici')

interface UndiciSettings {
  connections: number
  dispatcher?: Dispatcher
}

class UndiciTransport implements Transport {
  readonly name = 'undici'
  /** Pools by connect timeout, then by {@link connectionKey}: the timeout is a property of a pool in undici. */
  private readonly pools = new Map<number, Map<object, Pool>>()
  /** Those that close when their requests are over. */
  private readonly leaving = new Map<Pool, Promise<void>>()
  private readonly line = new UndiciLine()
  private readonly connections: number
  private readonly dispatcher: Dispatcher | undefined
  private closing = false
  private readonly undici: Undici | undefined

  constructor(settings: UndiciSettings) {
    this.connections = settings.connections
    this.dispatcher = settings.dispatcher
    // Nobody pays for it who doesn't use it: 5 MB of heap, half the time that it takes to start. And here, while there are files to open: what
    // `import()` has failed at with a request, it would fail at until a restart.
    this.undici = this.dispatcher === undefined ? (require('undici') as Undici) : undefined
  }

  accepts(out: Outbound, target: Target): boolean {
    // A dispatcher of the user's connects by its own settings, and those of the target would be left out.
    if (target.tls !== undefined && this.dispatcher !== undefined) return false
    return (
      out.path.charCodeAt(0) === 47 &&
      out.method !== 'CONNECT' &&
      !has(out.headers, 'expect') &&
      !has(out.headers, 'trailer')
    )
  }

  send(attempt: Attempt): Promise<Reply> {
    if (this.closing) return Promise.reject(new ProxyError('proxy_closing'))
    const { target, timeouts } = attempt
    return this.dispatch(this.dispatcher ?? this.pool(target, timeouts.connect), attempt)
  }

  private dispatch(dispatcher: Dispatcher, attempt: Attempt): Promise<Reply> {
    return new Promise((settle, refuse) => {
      const { target, out, timeouts, upgrade } = attempt
      const exchange = new UndiciExchange(attempt, settle, refuse, this.dispatcher === undefined)
      const { origin, servername, named } = address(target)
      let body: ReturnType<typeof requestBody>
      try {
        body = requestBody(out, timeouts.requestBody)
      } catch (error) {
        exchange.leave(error as ProxyError)
        return
      }
      const request: Dispatcher.DispatchOptions & { servername?: string } = {
        origin,
        path: out.path,
        method: out.method as Dispatcher.HttpMethod,
        headers: out.headers,
        body,
        upgrade: upgrade ?? null,
        headersTimeout: timeouts.head,
        bodyTimeout: 0,
      }
      // Without it the Host field would name the server in TLS too, and miss the target's certificate; and undici gives up
      // a connection for each new name. An address can't be sent as one: only our own connector knows that.
      if (servername !== undefined && (named || this.dispatcher === undefined))
        request.servername = servername
      const free = dispatcher.dispatch(request, exchange as unknown as Dispatcher.DispatchHandler)
      // A pool says no too where it was the last connection that this one got; a dispatcher of the user's says nothing of its queue.
      if (!free && this.dispatcher === undefined && (dispatcher as Pool).stats.queued > 0)
        this.line.join(exchange)
    })
  }

  async close(force = false): Promise<void> {
    this.closing = true
    const pools = [...this.pools.values()].flatMap((byKey) => [...byKey.values()])
    this.pools.clear()
    if (force) await Promise.all([...pools, ...this.leaving.keys()].map((pool) => pool.destroy()))
    else await Promise.all([...pools.map((pool) => pool.close()), ...this.leaving.values()])
  }

  private pool(target: Target, connect: number): Pool {
    let byKey = this.pools.get(connect)
    if (byKey === undefined) {
      byKey = new Map()
      this.pools.set(connect, byKey)
    }
    return byKey.get(connectionKey(target)) ?? this.open(target, connect, byKey)
  }

  private open(target: Target, connect: number, byKey: Map<object, Pool>): Pool {
    const undici = this.undici as Undici
    const { origin, socketPath } = address(target)
    const pool = new undici.Pool(origin, {
      connections: this.connections === 0 ? null : this.connections,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      // A target may end its half of an upgraded connection and still read (RFC 9293 section 3.6).
      connect: telling(
        origin.startsWith('https:')
          ? undiciConnector(undici.buildConnector, target, connect)
          : undici.buildConnector({
              timeout: connect,
              allowHalfOpen: true,
              lookup: sharedLookup,
              socketPath: socketPath ?? null,
            } as buildConnector.BuildOptions),
      ),
    })
    const key = connectionKey(target)
    byKey.set(key, pool)
    const leave = (): void => {
      forget()
      if (byKey.get(key) !== pool) return
      byKey.delete(key)
      const left = pool
        .close()
        .catch((error: unknown) => {
          if (log.enabled) log('closing the pool of %s: %O', target.id, error)
        })
        .finally(() => this.leaving.delete(pool))
      this.leaving.set(pool, left)
    }
    const forget = onRetire(key, leave)
    // A target that was removed, isn't used any more or was never reached leaves no pool behind.
    const closeUnused = (): void => {
      const { connected, pending, queued, running } = pool.stats
      if (connected + pending + queued + running === 0) leave()
    }
    pool.on('disconnect', closeUnused)
    pool.on('connectionError', closeUnused)
    return pool
  }
}

interface Address {
  readonly origin: string
  readonly servername?: string
  /** It has a name, and not just an address. */
  readonly named?: boolean
  readonly socketPath?: string
}

const addresses = new WeakMap<Target, Address>()

/** Where a target is, in the words of undici; made once for each. */
function address(target: Target): Address {
  let found = addresses.get(target)
  if (found === undefined) {
    found = parseAddress(target.url)
    addresses.set(target, found)
  }
  return found
}

function parseAddress(url: string): Address {
  if (url.startsWith('unix:')) return { origin: 'http://localhost', socketPath: url.slice('unix:'.length) }
  const { origin, protocol, hostname } = new URL(url)
  return protocol === 'https:'
    ? { origin, servername: hostname, named: !/^[\d.]+$|^\[/.test(hostname) }
    : { origin }
}

/** The body as undici takes it. */
function requestBody(out: Outbound, idle: number): string | Uint8Array | Upload | null {
  const source = flowingBody(out.body)
  return source === null ? (out.body as string | Uint8Array | null) : new Upload(source, idle)
}
