/**
 * What `require` gives of this package, as it does of `http-proxy`: the class, with the functions on it. It has nothing of its own, so
 * that an app of both kinds of modules has one class. A file, and no export named `module.exports` of index.ts, since TypeScript before 5.6
 * can't read declarations with such a name.
 */
import type * as Names from './index.js' with { 'resolution-mode': 'import' }

import names = require('./index.js')

const { default: proxyServer, httpProxyTransport, numOpenSockets } = names

/** Whoever imports the class has the same one, and sees nothing of these as it looks at what is on it. */
const httpProxy = Object.defineProperties(proxyServer, {
  // What a compiler makes of `import httpProxy from` without interop, and what `require` gave before. A class of the user's own over it has none.
  default: {
    get(this: unknown) {
      return this === proxyServer ? proxyServer : undefined
    },
  },
  httpProxyTransport: { value: httpProxyTransport },
  numOpenSockets: { value: numOpenSockets },
}) as typeof Names.default & Pick<typeof Names, 'default' | 'httpProxyTransport' | 'numOpenSockets'>

type httpProxy = Names.ProxyServer

declare namespace httpProxy {
  type Call = Names.Call
  type ErrorCallback = Names.ErrorCallback
  type FetchOptions = Names.FetchOptions
  type HttpProxyLike = Names.HttpProxyLike
  type HttpProxyTransportOptions = Names.HttpProxyTransportOptions
  type NodeError = Names.NodeError
  type OutgoingRequest = Names.OutgoingRequest
  type ParsedTarget = Names.ParsedTarget
  type ProxyResponse = Names.ProxyResponse
  type ProxyServer = Names.ProxyServer
  type ProxyServerEvents = Names.ProxyServerEvents
  type ProxyServerOptions = Names.ProxyServerOptions
  type ProxyTarget = Names.ProxyTarget
  type ProxyTargetDetailed = Names.ProxyTargetDetailed
  type ProxyTargetFunction = Names.ProxyTargetFunction
  type Server = Names.ProxyServer
  type ServerOptions = Names.ServerOptions
  type TargetParts = Names.TargetParts
  type WebPass = Names.WebPass
  type WsPass = Names.WsPass
}

export = httpProxy
