import { type Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { type RequestOptions, request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Outcome, ProxyError, type Reply, toBody, toReadable } from '@sluice/core'
import {
  type Attempt,
  addInformational,
  checkProtocol,
  cleanTrailers,
  codingFault,
  isUnawaited,
  type Transport,
} from '@sluice/forward'
import { groupByName, withoutHopByHop } from '@sluice/headers'
import { type Target, tlsOptions } from '@sluice/upstream'
import { whenCut } from './when-cut.js'

/**
 * HTTP/1.1 over connections that an agent of the app's opens: through a SOCKS or CONNECT proxy, say. Node's own client sends,
 * with the framing that the body has.
 */
export class AgentTransport implements Transport {
  readonly name = 'agent'

  constructor(
    private readonly agent: Agent,
    private readonly localAddress: string | undefined,
  ) {}

  accepts(): boolean {
    return true
  }

  send(attempt: Attempt): Promise<Reply> {
    return new Promise((settle, refuse) => {
      const { out, target, timeouts, upgrade } = attempt
      let req: ClientRequest
      let answer: IncomingMessage | undefined
      try {
        const secure = target.url.startsWith('https:')
        req = (secure ? requestHttps : requestHttp)(this.options(attempt))
        for (const [name, value] of groupByName(out.headers)) if (!isHop(name)) req.setHeader(name, value)
        if (upgrade !== undefined) req.setHeader('Connection', 'Upgrade').setHeader('Upgrade', upgrade)
        // Whether it is kept is the agent's to decide, not the target's.
        else req.setHeader('Connection', 'keep-alive')
      } catch (cause) {
        refuse(new ProxyError('http_request_error', { cause, target: target.id }))
        return
      }
      const lost = (cause: Error): void => {
        refuse(failure(cause, target))
        answer?.destroy(cause)
      }
      req.on('error', lost)
      if (timeouts.head > 0)
        req.setTimeout(timeouts.head, () => req.destroy(new ProxyError('http_response_timeout')))
      if (timeouts.connect > 0) limitConnect(req, timeouts.connect)
      let informed = 0
      req.on('information', ({ statusCode, rawHeaders }) => {
        // Whoever waits for 100 Continue has heard it from the server in front.
        if (statusCode === 100) return
        const headers = withoutHopByHop(rawHeaders, { response: true })
        try {
          informed = addInformational(informed, headers)
          attempt.inform(statusCode, headers)
        } catch (error) {
          req.destroy(error as Error)
        }
      })
      req.on('upgrade', (res: IncomingMessage, socket: Socket, head: Buffer) => {
        // From here on the tunnel owns the socket; until it listens, a reset must not end the process.
        socket.on('error', () => {})
        const protocol = res.headers.upgrade ?? ''
        try {
          checkProtocol(upgrade ?? '', protocol)
        } catch (error) {
          socket.destroy()
          lost(error as ProxyError)
          return
        }
        if (head.length > 0) socket.unshift(head)
        const headers = withoutHopByHop(res.rawHeaders, { response: true })
        headers.push('Connection', 'Upgrade', 'Upgrade', protocol)
        settle({ status: 101, headers, body: null, socket: socket as Duplex })
      })
      req.on('response', (res: IncomingMessage) => {
        answer = res
        const { rawHeaders, statusCode = 502 } = res
        const fault = codingFault(rawHeaders, out.method, statusCode)
        if (fault !== undefined) return lost(fault)
        whenCut(req, res, (why) => res.destroy(why))
        const headers = withoutHopByHop(rawHeaders, { response: true })
        const reply: Reply = { status: statusCode, headers, body: toBody(res) }
        if (res.statusMessage) reply.reason = res.statusMessage
        reply.trailers = () =>
          res.rawTrailers.length === 0 ? undefined : cleanTrailers(res.rawTrailers, true)
        settle(reply)
      })
      attempt.onClose?.(closed, req)
      const body = toBody(out.body)
      if (body === null) {
        req.end()
        return
      }
      if (body.length === undefined) {
        req.setHeader('Transfer-Encoding', 'chunked')
        if (isUnawaited(out.method)) req.setHeader('Connection', 'close')
      } else req.setHeader('Content-Length', body.length)
      const readable = toReadable(body)
      readable.on('error', (error) => req.destroy(error))
      req.on('close', () => readable.destroy())
      readable.pipe(req)
    })
  }

  close(): Promise<void> {
    // The agent is the app's, and so are its connections.
    return Promise.resolve()
  }

  private options({ out, target }: Attempt): RequestOptions {
    const { agent, localAddress } = this
    const options: RequestOptions = { agent, method: out.method, path: out.path, setHost: false }
    if (localAddress !== undefined) options.localAddress = localAddress
    if (target.url.startsWith('unix:')) options.socketPath = target.url.slice('unix:'.length)
    else {
      const { hostname, port, protocol } = new URL(target.url)
      options.host = hostname.replace(/^\[|\]$/g, '')
      options.port = port === '' ? (protocol === 'https:' ? 443 : 80) : port
      if (protocol === 'https:') {
        const { ALPNProtocols: _, secureContext: __, ...tls } = tlsOptions(target, ['http/1.1'])
        const { ca, cert, ciphers, key, passphrase, pfx, secureProtocol } = target.tls ?? {}
        Object.assign(options, tls, { ca, cert, ciphers, key, passphrase, pfx, secureProtocol })
      }
    }
    return options
  }
}

/** A connection that the agent has kept, or that somebody else's proxy has opened, is there already. */
function limitConnect(req: ClientRequest, most: number): void {
  req.once('socket', (socket) => {
    if (!socket.connecting) return
    const timer = setTimeout(() => req.destroy(new ProxyError('connection_timeout')), most).unref()
    socket.once('connect', () => clearTimeout(timer))
    req.once('close', () => clearTimeout(timer))
  })
}

function closed(end: Outcome, req: ClientRequest): void {
  req.destroy(end.error ?? new ProxyError('client_left'))
}

function failure(cause: Error & { code?: string }, target: Target): ProxyError {
  if (cause instanceof ProxyError) return cause
  const code = cause.code === 'ECONNREFUSED' ? 'connection_refused' : 'connection_terminated'
  return new ProxyError(code, { message: cause.message, cause, target: target.id })
}

function isHop(name: string): boolean {
  return /^(connection|keep-alive|transfer-encoding|upgrade|content-length|proxy-connection)$/i.test(name)
}
