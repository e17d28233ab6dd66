import { ProxyServer } from './proxy-server.js'
import type { ServerOptions } from './server-options.js'

/**
 * Makes a proxy with the API of http-proxy 1.18.1: `web`, `ws`, `listen`, `close`, `before`, `after` and its events. Nothing
 * of it ends the process: an `error` that nobody listens for is answered 502.
 */
export function createProxyServer(options?: ServerOptions): ProxyServer {
  return new ProxyServer(options)
}
