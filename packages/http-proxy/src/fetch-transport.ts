import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import {
  type BodyInit,
  discard,
  type InboundRequest,
  type InboundResponse,
  type Outcome,
  ProxyError,
  type ProxyErrorCode,
  type Reply,
  toBody,
  toReadable,
} from '@sluice/core'
import { type Attempt, codingFault, type Transport } from '@sluice/forward'
import { type HeaderList, withoutHopByHop } from '@sluice/headers'
import type { ServerOptions } from './server-options.js'

/**
 * Requests by a `fetch`: the app's own, or one with a dispatcher that speaks HTTP/2. It normalises paths, joins repeated fields and undoes
 * content codings, as fetch does; so none is asked for.
 */
export class FetchTransport implements Transport {
  readonly name = 'fetch'

  constructor(
    private readonly options: ServerOptions,
    private readonly req: InboundRequest,
    private readonly res: InboundResponse,
  ) {}

  accepts(): boolean {
    return true
  }

  async send(attempt: Attempt): Promise<Reply> {
    const { out, target, timeouts } = attempt
    // A host in the path would be where the request goes, and fetch knows no content of GET and HEAD.
    const contentless = out.method === 'GET' || out.method === 'HEAD'
    if (!out.path.startsWith('/') || target.url.startsWith('unix:') || (contentless && out.body !== null))
      throw new ProxyError('request_unsupported', { target: target.id })
    const aborter = new AbortController()
    attempt.onClose?.(closed, aborter)
    const init = this.init(attempt, aborter.signal)
    const { fetch: own, fetchOptions } = this.options
    await this.hook(fetchOptions?.onBeforeRequest, init)
    if (init.headers instanceof Headers) setOwn(init.headers)
    const timer =
      timeouts.head > 0
        ? setTimeout(() => aborter.abort(new ProxyError('http_response_timeout')), timeouts.head).unref()
        : undefined
    let response: Response
    try {
      response = await (own ?? fetch)(target.url + out.path, init)
    } catch (cause) {
      throw failure(cause as Error, aborter.signal, target.id)
    } finally {
      clearTimeout(timer)
    }
    await this.hook(fetchOptions?.onAfterResponse, response)
    return replyOf(response, out.method)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  private init({ out }: Attempt, signal: AbortSignal): RequestInit {
    const given = this.options.fetchOptions?.requestOptions
    const headers = new Headers()
    for (let i = 0; i < out.headers.length; i += 2) {
      const name = (out.headers[i] as string).toLowerCase()
      // The server in front has answered Expect.
      if (name !== 'expect' && name !== 'accept-encoding') append(headers, name, out.headers[i + 1] as string)
    }
    headers.set('accept-encoding', 'identity')
    for (const [name, value] of new Headers(given?.headers)) headers.set(name, value)
    const body = toBody(out.body)
    return {
      method: out.method,
      redirect: 'manual',
      ...given,
      headers,
      signal: given?.signal ? AbortSignal.any([signal, given.signal]) : signal,
      // A Node stream: what undici and node-fetch take alike.
      ...(body === null ? {} : { body: bodyOf(out.body) as never, duplex: 'half' }),
    }
  }

  private async hook<T>(
    fn: ((value: T, req: never, res: never, options: ServerOptions) => unknown) | undefined,
    value: T,
  ): Promise<void> {
    try {
      await fn?.(value, this.req as never, this.res as never, this.options)
    } catch (cause) {
      throw new ProxyError('proxy_internal_error', { cause })
    }
  }
}

function bodyOf(body: BodyInit): unknown {
  return typeof body === 'string' || body instanceof Uint8Array ? body : toReadable(body)
}

function append(headers: Headers, name: string, value: string): void {
  // Headers joins by a comma, which is no separator of cookies.
  const before = name === 'cookie' ? headers.get(name) : null
  if (before === null) headers.append(name, value)
  else headers.set(name, `${before}; ${value}`)
}

/** http-proxy-3's guide sets fields as properties, which Headers doesn't send. */
function setOwn(headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) headers.set(name, String(value))
}

/** Older fetches have no `getSetCookie`, and give the lines by `raw`, with names as they came. */
function cookiesOf(headers: Headers & { raw?(): Record<string, string[]> }): readonly string[] {
  if (typeof headers.getSetCookie === 'function') return headers.getSetCookie()
  const lines = Object.entries(headers.raw?.() ?? {})
  return lines.find(([name]) => name.toLowerCase() === 'set-cookie')?.[1] ?? []
}

/** @throws ProxyError http_protocol_error */
function replyOf(response: Response, method: string): Reply {
  const { status, statusText, headers, url, body } = response
  const list: HeaderList = []
  // What has been fetched has been decoded, and has another length.
  const decoded =
    body !== null && url !== '' && (headers.get('content-encoding') ?? 'identity') !== 'identity'
  for (const [name, value] of headers)
    if (name !== 'set-cookie' && !(decoded && /^content-(encoding|length)$/.test(name)))
      list.push(name, value)
  for (const cookie of cookiesOf(headers)) list.push('set-cookie', cookie)
  const reply: Reply = { status, headers: withoutHopByHop(list, { response: true }), body: bodyOfReply(body) }
  if (statusText !== '') reply.reason = statusText
  const fault = codingFault(list, method, status)
  if (fault !== undefined) {
    discard(reply)
    throw fault
  }
  return reply
}

/** node-fetch gives Node's streams, or bytes. */
function bodyOfReply(body: Response['body'] | Readable | Uint8Array): Readable | Uint8Array | null {
  if (body === null || body instanceof Uint8Array || body instanceof Readable) return body
  return Readable.fromWeb(body as ReadableStream)
}

const codes: Record<string, ProxyErrorCode> = {
  ECONNREFUSED: 'connection_refused',
  ENOTFOUND: 'dns_error',
  UND_ERR_CONNECT_TIMEOUT: 'connection_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'http_response_timeout',
}

function failure(error: Error, signal: AbortSignal, target: string): ProxyError {
  if (signal.aborted && signal.reason instanceof ProxyError) return signal.reason
  // `fetch failed`, and why is one step below.
  const cause = (error.cause instanceof Error ? error.cause : error) as NodeJS.ErrnoException
  const code = codes[cause.code ?? ''] ?? 'connection_terminated'
  return new ProxyError(code, { message: cause.message, cause, target })
}

function closed({ error }: Outcome, aborter: AbortController): void {
  aborter.abort(error ?? new ProxyError('client_left'))
}
