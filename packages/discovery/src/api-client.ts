import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { pinFault, type Target, tlsOptions } from '@sluice/upstream'
import type { Seams } from './discovery-options.js'

/** More than that is no list of targets, but something that has gone wrong. */
const mostText = 16 * 1_048_576

/** A question to a registry. */
export interface ApiQuestion {
  /** Path and query, behind the path of the registry's URL. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | undefined>>
  /** For the head of the answer, in ms. */
  readonly headTimeout: number
  /** For all of it, in ms. */
  readonly timeout: number
  readonly signal: AbortSignal
  /** Hears of the head of an answer. */
  readonly answered?: (status: number) => void
  /** Gets the text of an answer with status 200 as it comes; what it throws ends the exchange. Without it the text is collected. */
  readonly take?: (text: string) => void
}

/** What a registry has answered. */
export interface ApiAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/**
 * Asks a registry by HTTP/1.1, each time over a connection of its own: a question that waits for minutes keeps a connection for
 * itself anyway, and a kept one may have died in the meantime. The connection holds no process open.
 * @throws Error for whatever is no whole answer; none of them shows a header, for those carry tokens
 */
export function askApi(
  api: Target,
  question: ApiQuestion,
  { after }: Pick<Seams, 'after'>,
): Promise<ApiAnswer> {
  const { path, headers, headTimeout, timeout, signal, take, answered } = question
  const shown = path.replace(/\?.*/, '')
  return new Promise((resolve, reject) => {
    const send = api.url.startsWith('https:') ? httpsRequest : httpRequest
    const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
    const request = send({
      ...addressOf(api, path),
      headers: sent as Record<string, string>,
      agent: false,
      signal,
    })
    const late = (ms: number) => () => request.destroy(new Error(`GET ${shown}: no answer within ${ms} ms`))
    const cancelHead = after(headTimeout, late(headTimeout))
    const cancelAll = after(timeout, late(timeout))
    const over = (): void => {
      cancelHead()
      cancelAll()
      signal.removeEventListener('abort', over)
    }
    // At once, for the connection takes a moment to close.
    signal.addEventListener('abort', over)
    const fail = (error: Error): void => {
      request.destroy(error)
      reject(error)
    }
    request.on('error', reject)
    // Whatever ends it without an error, such as 101, which nobody asked for.
    request.on('close', () => {
      over()
      reject(new Error(`GET ${shown}: the answer ended before it was whole`))
    })
    request.on('socket', (socket) => {
      socket.unref()
      // A connection that is silent for minutes is dropped by what is between, and nobody is told. Then it has failed after 40 s: Node
      // asks ten times more, a second apart.
      socket.setKeepAlive(true, 30_000)
      socket.once('secureConnect', () => {
        const fault = pinFault(api, socket as TLSSocket)
        if (fault !== undefined) request.destroy(fault)
      })
    })
    request.on('response', (response) => {
      cancelHead()
      const { statusCode: status = 0 } = response
      let text = ''
      answered?.(status)
      response.setEncoding('utf8')
      response.on('error', fail)
      response.on('data', (chunk: string) => {
        try {
          if (take !== undefined && status === 200) take(chunk)
          else text += chunk
        } catch (error) {
          fail(error as Error)
        }
        if (text.length > mostText) fail(new Error(`GET ${shown}: the answer is over ${mostText} characters`))
      })
      response.on('end', () => {
        if (response.complete) resolve({ status, headers: response.headers, text })
      })
    })
    request.end()
  })
}

/** An answer that isn't 200, as an error: with a line of what it says. */
export class ApiRefusal extends Error {
  readonly status: number

  constructor(path: string, { status, text }: ApiAnswer) {
    const said = text
      .slice(0, 500)
      .replace(/[^\x20-\x7e]+/g, ' ')
      .trim()
    super(`GET ${path.replace(/\?.*/, '')} answered ${status}${said === '' ? '' : `: ${said}`}`)
    this.status = status
  }
}

function addressOf(api: Target, path: string): RequestOptions {
  if (api.url.startsWith('unix:')) return { socketPath: api.url.slice('unix:'.length), path }
  const { hostname, port, protocol, pathname } = new URL(api.url)
  const where = {
    protocol,
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port,
    path: pathname.replace(/\/$/, '') + path,
  }
  return protocol === 'https:' ? { ...where, ...tlsOptions(api, ['http/1.1']) } : where
}
