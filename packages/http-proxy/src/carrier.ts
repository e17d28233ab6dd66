import type { Agent } from 'node:http'
import type { HttpProxyLike } from './http-proxy-like.js'

/** What an exchange is sent with. */
export interface Carrier {
  readonly proxy: HttpProxyLike
  /** With kept connections. */
  readonly agent: Agent
  /** With a connection of its own for each request. */
  readonly single: Agent
  /** Options for http-proxy that lead to the target. */
  readonly options: Readonly<Record<string, unknown>>
}
