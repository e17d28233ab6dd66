import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { InboundRequest, InboundResponse } from '@sluice/core'
import { type Transport, wireTransport } from '@sluice/forward'
import { createTarget, type Target, type TargetTls } from '@sluice/upstream'
import { AgentTransport } from './agent-transport.js'
import { FetchTransport } from './fetch-transport.js'
import { isSecure } from './parse-target.js'
import type { ParsedTarget, ServerOptions } from './server-options.js'

/** Targets may be made of what clients send. */
const targetsAtMost = 1_000
const transportsAtMost = 16

interface Known {
  readonly tls: TargetTls | undefined
  readonly target: Target
}

/** The targets and transports of one proxy: as many as are in use, made of the options of calls. */
export class Targets {
  private readonly known = new Map<string, Known[]>()
  private count = 0
  private transports = new Map<string, Transport>()
  private agents = new WeakMap<object, Transport>()

  /** Targets held now. */
  get size(): number {
    return this.count
  }

  /** @throws TypeError for TLS settings that can't be used */
  target(parsed: ParsedTarget, options: ServerOptions): Target {
    const { socketPath } = parsed
    const url =
      (socketPath ?? null) !== null && socketPath !== ''
        ? `unix:${socketPath}`
        : `${isSecure(parsed) ? 'https' : 'http'}://${parsed.host}`
    const tls = url.startsWith('https:') ? tlsOf(parsed, options) : undefined
    const list = this.known.get(url)
    if (list !== undefined) for (const each of list) if (isSame(each.tls, tls)) return each.target
    const target = createTarget(tls === undefined ? url : { url, tls })
    if (this.count >= targetsAtMost) {
      const [oldest, gone] = this.known.entries().next().value as [string, Known[]]
      this.known.delete(oldest)
      this.count -= gone.length
    }
    const entry = { tls, target }
    const now = this.known.get(url)
    if (now === undefined) this.known.set(url, [entry])
    else now.push(entry)
    this.count++
    return target
  }

  /** What sends the request of a call. */
  transportOf(options: ServerOptions, req: InboundRequest, res: InboundResponse): Transport {
    if (options.fetch || options.fetchOptions) return new FetchTransport(options, req, res)
    return this.transport(options)
  }

  /** What speaks to the target of a call. */
  transport(options: ServerOptions): Transport {
    const { agent, localAddress } = options
    if (agent === undefined || agent === false || agent === null || isPlain(agent)) {
      const settings = agent ? (agent as HttpsAgent) : undefined
      const most = settings === undefined || !Number.isFinite(settings.maxSockets) ? 0 : settings.maxSockets
      const from = localAddress ?? (settings?.options as { localAddress?: string } | undefined)?.localAddress
      const key = `${most} ${from ?? ''}`
      let transport = this.transports.get(key)
      if (transport === undefined) {
        if (this.transports.size >= transportsAtMost) {
          const [oldest, gone] = this.transports.entries().next().value as [string, Transport]
          this.transports.delete(oldest)
          void gone.close()
        }
        transport = wireTransport(
          from === undefined ? { connections: most } : { connections: most, localAddress: from },
        )
        this.transports.set(key, transport)
      }
      return transport
    }
    let transport = this.agents.get(agent)
    if (transport === undefined) {
      transport = new AgentTransport(agent, localAddress)
      this.agents.set(agent, transport)
    }
    return transport
  }

  /** Ends idle connections; what is under way goes on. A later call makes new ones. */
  close(): void {
    for (const transport of this.transports.values()) void transport.close()
    this.transports = new Map()
    this.known.clear()
    this.count = 0
  }
}

/** One of Node's own, which opens connections in the ordinary way. */
function isPlain(agent: object): boolean {
  const { constructor } = agent
  if (constructor !== HttpAgent && constructor !== HttpsAgent) return false
  return !Object.hasOwn(agent, 'createConnection') && !Object.hasOwn(agent, 'addRequest')
}

const asIs: TargetTls = Object.freeze({})

function tlsOf(parsed: ParsedTarget, options: ServerOptions): TargetTls | undefined {
  const agent = (options.agent ? ((options.agent as HttpsAgent).options ?? {}) : {}) as Record<
    string,
    unknown
  >
  const tls: Record<string, unknown> = {}
  let any = false
  for (const name of ['pfx', 'key', 'cert', 'passphrase', 'ciphers', 'secureProtocol'] as const) {
    const value = parsed[name] ?? agent[name]
    if ((value ?? null) === null) continue
    tls[name] = value
    any = true
  }
  const ca = options.ca ?? parsed.ca ?? agent['ca']
  if ((ca ?? null) !== null) {
    tls['ca'] = ca
    any = true
  }
  if (typeof agent['servername'] === 'string') {
    tls['servername'] = agent['servername']
    any = true
  }
  const verify = options.secure ?? agent['rejectUnauthorized']
  if (verify === false) {
    tls['verify'] = false
    any = true
  }
  return any ? (tls as TargetTls) : asIs
}

const compared = [
  'pfx',
  'key',
  'cert',
  'passphrase',
  'ciphers',
  'secureProtocol',
  'ca',
  'servername',
  'verify',
] as const

function isSame(a: TargetTls | undefined, b: TargetTls | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined) return false
  return compared.every((name) => a[name] === b[name])
}
