import type { Agent, IncomingMessage, ServerResponse } from 'node:http'
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
  /** Put before each request's path, unless `prependPath` is false. A query in it goes ahead of the request's own. */
  path?: string | null | undefined
  /** As the forks call it; `path` goes before it. */
  pathname?: string | null | undefined
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

/** Where requests go: a URL, `unix:/path/of/a.sock`, or its parts. */
export type ProxyTarget = string | URL | TargetParts

/** Says where one request goes. What it throws is an error of that request. */
export type ProxyTargetFunction = (req: IncomingMessage) => ProxyTarget

/** What http-proxy-3 calls `fetchOptions`. */
export interface FetchOptions {
  /** Given to `fetch` with each request, a `dispatcher` of undici for instance. Its headers replace those of the request by name. */
  requestOptions?: RequestInit | undefined
  /** Before a request is sent: `init.headers` is a `Headers`. What it throws is an error of that request. */
  onBeforeRequest?:
    | ((
        init: RequestInit,
        req: IncomingMessage,
        res: ServerResponse,
        options: ServerOptions,
      ) => void | Promise<void>)
    | undefined
  /** The answer is there, and its body unread. */
  onAfterResponse?:
    | ((
        response: Response,
        req: IncomingMessage,
        res: ServerResponse,
        options: ServerOptions,
      ) => void | Promise<void>)
    | undefined
}

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
  /** Where requests go. A function is asked for each one: of what a client says it must choose from what it knows, or clients reach whatever this machine can. */
  target?: ProxyTarget | ProxyTargetFunction | undefined
  /** Where a copy of each request goes; what it answers is dropped. Alone, clients get an empty 200. */
  forward?: ProxyTarget | undefined
  /**
   * An agent of `node:http` or `node:https`. Of Node's own classes its `maxSockets`, `localAddress` and TLS settings are taken over,
   * connections are kept by our transport. An agent of another class (a SOCKS or CONNECT proxy) opens the connections itself.
   */
  agent?: Agent | false | undefined
  /** For `listen`: certificate and key, to speak TLS to clients. */
  ssl?: TlsServerOptions | undefined
  /** For `listen` with `ssl`: speak HTTP/2 with clients that ask for it, HTTP/1.1 with the others. Default true; `false`: HTTP/1.1 alone. */
  http2?: boolean | undefined
  /** For `listen`: serve upgrades too. Default false. */
  ws?: boolean | undefined
  /**
   * Add `X-Forwarded-For`, `-Port` and `-Proto` behind what the client says, and `X-Forwarded-Host` where there is none. What stands ahead of the
   * last entry is the client's word: who believes it believes anybody. Default false: the client's fields go on as they came.
   */
  xfwd?: boolean | undefined
  /** Let `xfwd` say `http` or `https` of an upgrade, where it says `ws` or `wss`. Default false. */
  xfwdWsProtoAsHttp?: boolean | undefined
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
  /**
   * Follow redirects here instead of passing them on: with `true` up to 21, then an error; up to a number, then the redirect goes to the client.
   * Where a target redirects to is then where requests go. Default false.
   */
  followRedirects?: boolean | number | undefined
  /** Method to send instead of the request's. */
  method?: string | undefined
  /** Time without a byte from the target, in ms; then an error `ECONNRESET`. Default 0: none. */
  proxyTimeout?: number | undefined
  /** Time to connect to the target, in ms; then an error `ECONNECT_TIMEOUT`. Default 0: none. */
  connectTimeout?: number | undefined
  /** Time for an upgrade until the target's answer, in ms; then an error `ERR_UPSTREAM_UPGRADE_TIMEOUT`. Default 0: none. */
  upgradeTimeout?: number | undefined
  /** Idle time of the client's socket, in ms. Default 0: the server's own. */
  timeout?: number | undefined
  /** `proxyRes` listeners answer the client themselves. Default false. */
  selfHandleResponse?: boolean | undefined
  /** The request's body, where something has read it from the request before. */
  buffer?: Stream | undefined
  /**
   * Sends requests in place of our own transport, over HTTP/2 for instance. Upgrades don't go by it, nor do `agent`, `ca`, `secure` and the other settings
   * of connections. Default: none; with `fetchOptions` alone the global one.
   */
  fetch?: typeof fetch | undefined
  /** Sends requests by `fetch`, with these settings. */
  fetchOptions?: FetchOptions | undefined
}
