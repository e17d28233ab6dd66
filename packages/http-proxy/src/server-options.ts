import type { Agent } from 'node:http'
import type { ServerOptions as TlsServerOptions } from 'node:https'
import type { Stream } from 'node:stream'

/** A target in parts. What isn't named here is not looked at. */
export interface TargetParts {
  /** `'http:'`, `'https:'`, `'ws:'` or `'wss:'`, with or without the colon. Default `'http:'`. */
  protocol?: string | null | undefined
  /** Name, or name and port. `hostname` goes before it; with a port alone it is `localhost`. */
  host?: string | null | undefined
  hostname?: string | null | undefined
  /** Default 443 with TLS, else 80. */
  port?: number | string | null | undefined
  /** Put before each request's path, unless `prependPath` is false. */
  path?: string | null | undefined
  /** A Unix socket, in place of host and port. */
  socketPath?: string | null | undefined
  /** The proxy's own certificate and key, for a target that asks for one: PFX, or PEM. */
  pfx?: string | Buffer | undefined
  key?: string | Buffer | readonly (string | Buffer)[] | undefined
  cert?: string | Buffer | readonly (string | Buffer)[] | undefined
  passphrase?: string | undefined
  /** Ciphers to offer, as OpenSSL writes them. */
  ciphers?: string | undefined
  /** One version of TLS alone: `'TLSv1_2_method'`. */
  secureProtocol?: string | undefined
  /** Authorities to trust, in place of those that come with Node. */
  ca?: string | Buffer | readonly (string | Buffer)[] | undefined
}

/** Where requests go: a URL, or its parts. */
export type ProxyTarget = string | URL | TargetParts

/** The object that events give as the target: the parts of the URL. */
export interface ParsedTarget extends TargetParts {
  protocol: string
  host: string
  hostname: string
  port: string | null
  pathname: string
  search: string
  path: string
  href: string
}

/** Options of {@link createProxyServer}, and of each call, which replace those of the server one by one. */
export interface ServerOptions {
  /** Where requests go. */
  target?: ProxyTarget | undefined
  /** Where a copy of each request goes; what it answers is dropped. Alone, clients get an empty 200. */
  forward?: ProxyTarget | undefined
  /**
   * An agent of `node:http` or `node:https`. Of Node's own classes its `maxSockets`, `localAddress` and TLS settings are taken over,
   * connections are kept by our transport. An agent of another class (a SOCKS or CONNECT proxy) opens the connections itself.
   */
  agent?: Agent | false | undefined
  /** For `listen`: certificate and key, to speak TLS to clients. */
  ssl?: TlsServerOptions | undefined
  /** For `listen`: serve upgrades too. Default false. */
  ws?: boolean | undefined
  /**
   * Add `X-Forwarded-For`, `-Port` and `-Proto` behind what the client says, and `X-Forwarded-Host` where there is none. What stands ahead of the
   * last entry is the client's word: who believes it believes anybody. Default false: the client's fields go on as they came.
   */
  xfwd?: boolean | undefined
  /** Verify the target's certificate. Default true; `false` lets anyone on the way read and change everything. */
  secure?: boolean | undefined
  /** Authorities to trust for every target, in place of those that come with Node. */
  ca?: TargetParts['ca']
  /** The target is a forward proxy: the request-target goes on in the form it came. Default false. */
  toProxy?: boolean | undefined
  /** Put the target's path before the request's. Default true. */
  prependPath?: boolean | undefined
  /** Drop the request's path: every request goes to the target's own. Default false. */
  ignorePath?: boolean | undefined
  /** The address of this machine that connections come from. */
  localAddress?: string | undefined
  /** Name the target in `Host`. Default false: the client's goes on. */
  changeOrigin?: boolean | undefined
  /** Keep the case of the target's field names. Default false: lower case. */
  preserveHeaderKeyCase?: boolean | undefined
  /** `'user:password'` for `Authorization: Basic`, where the request has none. */
  auth?: string | undefined
  /** Host of a redirect to the target becomes this one. */
  hostRewrite?: string | undefined
  /** Host of a redirect to the target becomes that of the request. Default false. */
  autoRewrite?: boolean | undefined
  /** Scheme of a redirect to the target becomes this one, `'http'` or `'https'`. */
  protocolRewrite?: string | null | undefined
  /** `Domain` of cookies: a value for all, or by old value (`'*'` the rest; `''` or null removes it). Default false: left alone. */
  cookieDomainRewrite?: false | string | Record<string, string | null> | undefined
  /** `Path` of cookies, in the same way. */
  cookiePathRewrite?: false | string | Record<string, string | null> | undefined
  /** Fields to set on the request. */
  headers?: Record<string, string | number | readonly string[] | undefined> | undefined
  /** Follow redirects here instead of passing them on: up to 21. Where a target redirects to is then where requests go. Default false. */
  followRedirects?: boolean | undefined
  /** Method to send instead of the request's. */
  method?: string | undefined
  /** Time without a byte from the target, in ms; then an error `ECONNRESET`. Default 0: none. */
  proxyTimeout?: number | undefined
  /** Idle time of the client's socket, in ms. Default 0: the server's own. */
  timeout?: number | undefined
  /** `proxyRes` listeners answer the client themselves. Default false. */
  selfHandleResponse?: boolean | undefined
  /** The request's body, where something has read it from the request before. */
  buffer?: Stream | undefined
}
