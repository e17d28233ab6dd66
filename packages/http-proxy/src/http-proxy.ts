import { createProxyServer } from './create-proxy-server.js'
import { ProxyServer, type ErrorCallback as Told } from './proxy-server.js'
import type { ServerOptions as Options, TargetParts, ProxyTarget as Where } from './server-options.js'

/** What `import httpProxy from 'http-proxy'` gives: the class, with the functions on it. */
export const httpProxy = Object.assign(ProxyServer, {
  createProxyServer,
  createServer: createProxyServer,
  createProxy: createProxyServer,
  ProxyServer,
  Server: ProxyServer,
})

/** Apps write `httpProxy` for the type of a proxy, too. */
export type httpProxy = ProxyServer

/** And `httpProxy.ServerOptions` for that of its options: names of types alone, there is nothing of it at run time. */
export declare namespace httpProxy {
  type ServerOptions = Options
  type ErrorCallback = Told
  type ProxyTarget = Where
  type ProxyTargetDetailed = TargetParts
}
