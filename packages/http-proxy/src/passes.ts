import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  asProxyError,
  type BodyInit,
  type InboundRequest,
  type InboundResponse,
  RequestBody,
} from '@sluice/core'
import { answerError } from './answer-error.js'
import { ForwardCopy } from './forward-copy.js'
import { nodeError } from './node-error.js'
import { parseTarget } from './parse-target.js'
import type { ErrorCallback, ProxyServer } from './proxy-server.js'
import { readRequest } from './read-request.js'
import type { ParsedTarget, ProxyTarget, ServerOptions } from './server-options.js'
import { shareBody } from './share-body.js'
import { teeBody } from './tee-body.js'
import { WebExchange } from './web-exchange.js'
import { upgrade } from './ws-exchange.js'

/** A step of `web`: what returns true ends the call. */
export type WebPass = (
  req: InboundRequest,
  res: InboundResponse,
  options: ServerOptions,
  head: Buffer | undefined,
  server: ProxyServer,
  callback: ErrorCallback | undefined,
) => unknown

/** A step of `ws`: what returns true ends the call. */
export type WsPass = (
  req: IncomingMessage,
  socket: Duplex,
  options: ServerOptions,
  head: Buffer | undefined,
  server: ProxyServer,
  callback: ErrorCallback | undefined,
) => unknown

/** Steps of http-proxy that are done elsewhere here, since they edit the request. Their names stay, for `before` and `after`. */
function deleteLength(): void {}
function XHeaders(): void {}

function timeout(req: InboundRequest, _res: InboundResponse, options: ServerOptions): void {
  if (options.timeout) req.socket.setTimeout(options.timeout)
}

function stream(
  req: InboundRequest,
  res: InboundResponse,
  options: ServerOptions,
  _head: Buffer | undefined,
  server: ProxyServer,
  callback: ErrorCallback | undefined,
): void {
  const to = parsed(options.target)
  const copyTo = parsed(options.forward)
  let exchange: WebExchange | undefined
  try {
    server.raise('start', req, res, to ?? copyTo)
    const read = readRequest(req, options)
    if (copyTo !== undefined) {
      const body = to === undefined ? taken(req, read.out.body) : teeBody(read.out)
      const copy = new ForwardCopy(server, req, res, options, copyTo, read, body)
      copy.send().catch((error: unknown) => {
        const failure = asProxyError(error)
        // Where there is a target its exchange tells that as `econnreset`; else the client has had its answer.
        if (failure.code === 'client_left') return
        if (to === undefined || server.listenerCount('error') > 0 || callback !== undefined)
          server.fault(nodeError(failure, options), failure, req, res, copyTo, callback)
      })
    }
    if (to === undefined) {
      res.end()
      return
    }
    exchange = new WebExchange(server, req, res, options, to, callback, read)
    exchange.send()
  } catch (error) {
    const failure = asProxyError(error)
    if (exchange !== undefined) exchange.failed(error)
    // Whoever can't speak HTTP is told by the proxy: that is no fault of a target.
    else if (failure.code === 'http_request_error') answerError(res, failure)
    else server.fault(nodeError(failure), failure, req, res, to, callback)
  }
}

/** The answer goes out before there is a connection for the copy, and Node then drops a body that nobody has begun to read. */
function taken(req: InboundRequest, body: BodyInit): BodyInit {
  return body instanceof RequestBody ? shareBody(req, body.length, true) : body
}

/** A function has been asked before the steps. */
function parsed(target: ServerOptions['target']): ParsedTarget | undefined {
  return target === undefined || target === null ? undefined : parseTarget(target as ProxyTarget)
}

function checkMethodAndHeader(req: IncomingMessage, socket: Duplex): boolean {
  if (req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket') return false
  socket.destroy()
  return true
}

function streamWs(
  req: IncomingMessage,
  socket: Duplex,
  options: ServerOptions,
  head: Buffer | undefined,
  server: ProxyServer,
  callback: ErrorCallback | undefined,
): void {
  const to = parsed(options.target) as ParsedTarget
  upgrade(server, req, socket, head ?? Buffer.alloc(0), options, to, callback)
}
Object.defineProperty(streamWs, 'name', { value: 'stream' })

/** The steps of a new proxy. */
export function webPasses(): WebPass[] {
  return [deleteLength, timeout, XHeaders, stream]
}

/** The steps of a new proxy. */
export function wsPasses(): WsPass[] {
  return [checkMethodAndHeader, XHeaders, streamWs]
}
