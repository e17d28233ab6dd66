import type { Agent } from 'node:http'
import { type Duration, integer, positiveDuration, type Size, size, that, v } from '@sluice/options'
import { fieldNamesSchema } from './field-names.js'
import { httpUrl } from './jwt-options.js'

/** Options of {@link forwardAuth}. */
export interface ForwardAuthOptions {
  /** The service that is asked, by GET, with this path and query. Required. */
  url: string | URL
  /** Fields of the request that the service gets. Default `['Authorization', 'Cookie', 'Accept', 'Accept-Language', 'User-Agent', 'Origin']`. */
  request?: readonly string[]
  /** Fields of its 2xx that the target gets. What clients send in these is removed. Default none. */
  copy?: readonly string[]
  /**
   * Fields of its refusal that the client gets. Default `['WWW-Authenticate', 'Location', 'Set-Cookie', 'Content-Type', 'Content-Language',
   * 'Cache-Control', 'Retry-After']`.
   */
  reply?: readonly string[]
  /** `Set-Cookie` of its 2xx goes to the client too, as services need that renew sessions. Default false. */
  cookies?: boolean
  /** How long it may take to answer, its body included. Default 5s. */
  timeout?: Duration
  /** The longest body of a refusal that goes to the client; with a longer one it has failed. Default 64kb. */
  maxBody?: Size
  /** Connections to the service at most; further questions wait for one, within `timeout`. Default 64. */
  connections?: number
  /** Asks through this agent of Node's, for a service behind a certificate of one's own; `connections` is its own affair then. Default one that keeps connections. */
  agent?: Agent
}

/** What the service gets of a request where nothing is said. */
export const askedByDefault: readonly string[] = [
  'Authorization',
  'Cookie',
  'Accept',
  'Accept-Language',
  'User-Agent',
  'Origin',
]

/** Schema of {@link ForwardAuthOptions}. */
export const forwardAuthOptions = v.strictObject({
  url: httpUrl,
  request: v.optional(fieldNamesSchema, [...askedByDefault]),
  copy: v.optional(fieldNamesSchema, []),
  reply: v.optional(fieldNamesSchema, [
    'WWW-Authenticate',
    'Location',
    'Set-Cookie',
    'Content-Type',
    'Content-Language',
    'Cache-Control',
    'Retry-After',
  ]),
  cookies: v.optional(v.boolean(), false),
  timeout: v.optional(positiveDuration(), '5s'),
  maxBody: v.optional(size() as v.GenericSchema<Size, number>, '64kb'),
  connections: v.optional(integer(1), 64),
  agent: v.optional(
    that<Agent>(
      (value) => typeof (value as Partial<Agent> | null)?.addListener === 'function',
      'an Agent of node:http or node:https',
    ),
  ),
})
