import { createProxyServer } from './create-proxy-server.js'
import { type ErrorCallback, ProxyServer, type ProxyServerEvents } from './proxy-server.js'
import type {
  FetchOptions,
  ParsedTarget,
  ProxyTarget,
  ProxyTargetFunction,
  ServerOptions,
  TargetParts,
} from './server-options.js'

export type { Call } from './call.js'
export { httpProxy as default } from './http-proxy.js'
export type { HttpProxyLike } from './http-proxy-like.js'
export { type HttpProxyTransportOptions, httpProxyTransport } from './http-proxy-transport.js'
export type { NodeError } from './node-error.js'
export { numOpenSockets } from './open-sockets.js'
export type { OutgoingRequest } from './outgoing-request.js'
export type { WebPass, WsPass } from './passes.js'
export type { ProxyResponse } from './proxy-response.js'
export type {
  ErrorCallback,
  FetchOptions,
  ParsedTarget,
  ProxyServerEvents,
  ProxyTarget,
  ProxyTargetFunction,
  ServerOptions,
  /** As httpxy calls it. */
  ServerOptions as ProxyServerOptions,
  TargetParts,
  /** As http-proxy and its forks call it. */
  TargetParts as ProxyTargetDetailed,
}
export { createProxyServer, createProxyServer as createProxy, createProxyServer as createServer, ProxyServer }
