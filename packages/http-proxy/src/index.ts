import { createProxyServer } from './create-proxy-server.js'
import { ProxyServer } from './proxy-server.js'

export type { Call } from './call.js'
export type { NodeError } from './node-error.js'
export { numOpenSockets } from './open-sockets.js'
export type { OutgoingRequest } from './outgoing-request.js'
export type { WebPass, WsPass } from './passes.js'
export type { ProxyResponse } from './proxy-response.js'
export type { ErrorCallback, ProxyServerEvents } from './proxy-server.js'
export type {
  FetchOptions,
  ParsedTarget,
  ProxyTarget,
  ProxyTargetFunction,
  ServerOptions,
  TargetParts,
} from './server-options.js'
export { createProxyServer, createProxyServer as createProxy, createProxyServer as createServer, ProxyServer }

/** What `import httpProxy from 'http-proxy'` gives: the class, with the functions on it. */
const httpProxy = Object.assign(ProxyServer, {
  createProxyServer,
  createServer: createProxyServer,
  createProxy: createProxyServer,
  ProxyServer,
  Server: ProxyServer,
})
/** Apps write `httpProxy` for the type of a proxy, too. */
type httpProxy = ProxyServer

export default httpProxy
export type { HttpProxyLike } from './http-proxy-like.js'
export { type HttpProxyTransportOptions, httpProxyTransport } from './http-proxy-transport.js'
