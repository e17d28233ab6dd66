import type { Agent } from 'node:http'
import { createRequire } from 'node:module'
import { type Outbound, ProxyError, type Reply } from '@sluice/core'
import type { Attempt, Transport } from '@sluice/forward'
import { integer, parse, that, v } from '@sluice/options'
import { connectionKey, onRetire, type Target } from '@sluice/upstream'
import { callOptions } from './call-options.js'
import type { Carrier } from './carrier.js'
import { HttpProxyExchange } from './http-proxy-exchange.js'
import type { HttpProxyLike } from './http-proxy-like.js'
import { TargetConnections } from './target-connections.js'

/** Options of {@link httpProxyTransport}. */
export interface HttpProxyTransportOptions {
  /**
   * An instance of http-proxy, or of a fork with its `web` and `ws`, in place of one of our own: with its listeners, passes and
   * options. The target, its path, `Host`, forwarding fields, connections and the framing of the body are the transport's all the same.
   * `error` is not emitted for what it carries: that becomes the reply's error. What a listener of it throws ends the process.
   */
  proxy?: HttpProxyLike
  /**
   * An agent of one's own, in place of one for each target. Its connections, their limit and its TLS settings count then, and it
   * is its owner's to close. A target with TLS settings isn't accepted, nor one of another scheme than the agent's.
   */
  agent?: Agent
  /** Connections to a target at most. Further requests wait for one. Default 128; 0: no limit. */
  connections?: number
}

const optionsSchema = v.strictObject({
  proxy: v.optional(that<HttpProxyLike>(isHttpProxy, 'an instance of http-proxy, with web() and ws()')),
  agent: v.optional(
    that<Agent>(
      (value) => typeof (value as { addRequest?: unknown } | null)?.addRequest === 'function',
      'an Agent of node:http or node:https',
    ),
  ),
  connections: v.optional(integer(0), 128),
})

interface Settings {
  readonly proxy?: HttpProxyLike
  readonly agent?: Agent
  readonly connections: number
}

/**
 * HTTP/1.1 to targets by the package `http-proxy` 1.18.1, for those who ask for it. It is loaded by this call, without a `proxy`, and not by
 * the import: it uses what newer Node deprecates (DEP0060). Its faults are mended around it: framing of chunked DELETE and OPTIONS
 * (CVE-2026-29057), connections that outlive their client, a new connection for each request, answers that are cut off.
 *
 * It doesn't accept what http-proxy can't carry: CONNECT, `OPTIONS *`, `Expect`, requests that announce trailers, methods
 * in lower case. Trailers that weren't announced are dropped. Repeated fields of a request go out together.
 * @throws TypeError for a wrong option
 */
export function httpProxyTransport(options: HttpProxyTransportOptions = {}): Transport {
  return new HttpProxyTransport(parse(optionsSchema, options, 'httpProxyTransport') as Settings)
}

class HttpProxyTransport implements Transport {
  readonly name = 'http-proxy'
  /** By {@link connectionKey}. */
  private readonly targets = new Map<object, TargetConnections>()
  private readonly live = new Set<HttpProxyExchange>()
  private readonly proxy: HttpProxyLike
  private closing: Promise<void> | undefined = undefined
  private closed: (() => void) | undefined = undefined

  constructor(private readonly settings: Settings) {
    this.proxy = settings.proxy ?? mendedProxy()
  }

  accepts(out: Outbound, target: Target): boolean {
    const { agent } = this.settings
    if (agent !== undefined && (target.tls !== undefined || !fits(agent, target))) return false
    const { headers, method, path } = out
    if (path.charCodeAt(0) !== 47 || method === 'CONNECT' || method !== method.toUpperCase()) return false
    for (let i = 0; i < headers.length; i += 2) if (isUnfit(headers[i] as string)) return false
    return true
  }

  send(attempt: Attempt): Promise<Reply> {
    if (this.closing !== undefined) return Promise.reject(new ProxyError('proxy_closing'))
    return new Promise((settle, refuse) => {
      const carrier = this.carrier(attempt.target)
      const over = (exchange: HttpProxyExchange): void => {
        this.live.delete(exchange)
        this.checkEmpty()
      }
      const exchange = new HttpProxyExchange(attempt, carrier, settle, refuse, over)
      // Nobody waited any more when it began: it has been released.
      if (!exchange.isGone) {
        this.live.add(exchange)
        exchange.start()
      }
      this.targets.get(connectionKey(attempt.target))?.endIfEmpty()
    })
  }

  close(force = false): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.closed = resolve
    })
    if (force) for (const exchange of [...this.live]) exchange.leave(new ProxyError('proxy_closing'))
    for (const each of [...this.targets.values()]) each.end(force)
    this.checkEmpty()
    return this.closing
  }

  private carrier(target: Target): Carrier {
    const { proxy } = this
    const { agent, connections } = this.settings
    if (agent !== undefined) return { proxy, agent, single: agent, options: callOptions(target) }
    const key = connectionKey(target)
    let found = this.targets.get(key)
    if (found === undefined) {
      const made = new TargetConnections(target, connections, () => {
        // A target that was removed or isn't used any more leaves nothing behind.
        forget()
        if (this.targets.get(key) === made) this.targets.delete(key)
        this.checkEmpty()
      })
      const forget = onRetire(key, () => made.end(false))
      this.targets.set(key, made)
      found = made
    }
    return { proxy, agent: found.agent, single: found.single, options: found.options }
  }

  private checkEmpty(): void {
    if (this.closed === undefined || this.live.size > 0 || this.targets.size > 0) return
    this.closed()
  }
}

/** One of our own. Loaded here and not with a request, which may come when there is no file left to open. */
function mendedProxy(): HttpProxyLike {
  const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as typeof import('http-proxy')
  const proxy = createProxyServer() as unknown as HttpProxyLike & Passes
  // What makes of a chunked DELETE or OPTIONS two requests (CVE-2026-29057).
  proxy.webPasses = proxy.webPasses.filter(({ name }) => name !== 'deleteLength')
  // Other protocols than WebSocket are upgraded to in the same way.
  proxy.wsPasses = proxy.wsPasses.filter(({ name }) => name !== 'checkMethodAndHeader')
  return proxy
}

interface Passes {
  webPasses: readonly { readonly name: string }[]
  wsPasses: readonly { readonly name: string }[]
}

function fits(agent: Agent, { url }: Target): boolean {
  const { protocol } = agent as Agent & { protocol?: string }
  return protocol === undefined || protocol === (url.startsWith('https:') ? 'https:' : 'http:')
}

/** A field that Node's client can't carry out, or that an object can't hold. */
function isUnfit(name: string): boolean {
  switch (name.length) {
    case 6:
      return name.toLowerCase() === 'expect'
    case 7:
      return name.toLowerCase() === 'trailer'
    case 9:
      return name === '__proto__'
    default:
      return false
  }
}

function isHttpProxy(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const { web, ws } = value as Partial<HttpProxyLike>
  return typeof web === 'function' && typeof ws === 'function'
}
