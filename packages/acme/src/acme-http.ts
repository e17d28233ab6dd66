import debug from 'debug'
import type { Agent } from 'undici'
import { AcmeError, type AcmePhase } from './acme-error.js'
import type { AcmeSeams } from './acme-seams.js'
import { findPackages, loadUndici } from './load-client.js'
import { retryAfterMs } from './retry-after.js'

/** No answer of an ACME server is as large: an order of a hundred names has 20 KB. */
const mostBytes = 1_048_576
const say = debug('sluice:acme')

/** What {@link AcmeHttp} is to know. */
export interface AcmeHttpOptions {
  /** URL of the directory. */
  readonly directory: string
  readonly ca?: string | Buffer | undefined
  /** For all of an answer, in ms. */
  readonly timeout: number
  readonly signal?: AbortSignal | undefined
}

/** What goes out. */
export interface AcmeRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: string
  readonly accept?: string
  readonly body?: string
}

/** A whole answer. */
export interface AcmeAnswer {
  readonly url: string
  readonly status: number
  readonly text: string
  /** The first field of that name, in lower case. */
  field(name: string): string | undefined
  /** Targets of `Link` fields with that relation (RFC 8288), as URLs. */
  links(relation: string): readonly string[]
  readonly retryAfterMs?: number | undefined
}

/**
 * HTTP towards one ACME server, bounded in time, size and reach. It speaks https, plain http on loopback alone; goes to the origins of the
 * directory and of what that names, whatever other URLs come; and follows no redirect: a request is signed for its URL.
 */
export class AcmeHttp {
  readonly #options: AcmeHttpOptions
  readonly #seams: AcmeSeams
  #agent: Agent | undefined
  readonly #origins: Set<string>
  readonly #closing = new AbortController()
  readonly #leave = (): void => this.#closing.abort()

  constructor(options: AcmeHttpOptions, seams: AcmeSeams) {
    this.#options = options
    this.#seams = seams
    findPackages()
    this.#origins = new Set([new URL(options.directory).origin])
    const { signal } = options
    signal?.addEventListener('abort', this.#leave)
    if (signal?.aborted === true) this.#leave()
  }

  /** Aborted once nothing more goes out. */
  get left(): AbortSignal {
    return this.#closing.signal
  }

  /**
   * Lets requests go to the origins of these URLs, too.
   * @throws AcmeError for one that is no https URL
   */
  admit(phase: AcmePhase, urls: readonly string[]): void {
    for (const url of urls) this.#origins.add(this.#safe(phase, url).origin)
  }

  /** @throws AcmeError for whatever is no whole answer, and for a redirect */
  async send(phase: AcmePhase, request: AcmeRequest): Promise<AcmeAnswer> {
    const { method, accept, body } = request
    const url = this.#safe(phase, request.url)
    const fail = (code: AcmeError['code'], what: string, cause?: unknown): AcmeError =>
      new AcmeError({ code, phase, url: url.href, what, cause })
    if (!this.#origins.has(url.origin)) throw fail('wrong_url', `the server leads elsewhere, to ${url.href}`)
    const { timeout } = this.#options
    const ending = new AbortController()
    const late = () =>
      ending.abort(fail('timeout', `no whole answer to ${method} ${url.pathname} within ${timeout} ms`))
    const leave = () => ending.abort(fail('aborted', `${method} ${url.pathname} was given up`))
    const cancel = this.#seams.after(timeout, late)
    this.left.addEventListener('abort', leave)
    if (this.left.aborted) leave()
    try {
      ending.signal.throwIfAborted()
      this.#agent ??= this.#connect()
      const agent = this.#agent
      const response = await agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        // RFC 8555 section 6.1 wants the first.
        headers: {
          'user-agent': 'sluice-acme',
          'accept-language': 'en',
          accept: accept ?? 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/jose+json' }),
        },
        signal: ending.signal,
        ...(body === undefined ? {} : { body }),
      })
      const text = await response.body.text()
      const answer = this.#answer(url, response.statusCode, response.headers, text)
      if (say.enabled) say('%s %s %d', method, url.href, answer.status)
      if (answer.status < 300 || answer.status >= 400) return answer
      const what = `${method} ${url.pathname} is answered ${answer.status}, to ${answer.field('location') ?? 'nowhere'}`
      throw new AcmeError(
        { code: 'refused', phase, url: url.href, what },
        'give the URL that it leads to, if it is the right one',
      )
    } catch (error) {
      if (ending.signal.aborted) throw ending.signal.reason
      if (error instanceof AcmeError) throw error
      throw fail(...faultOf(error as Error & { code?: string }), error)
    } finally {
      cancel()
      this.left.removeEventListener('abort', leave)
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#leave()
    this.#options.signal?.removeEventListener('abort', this.#leave)
    await this.#agent?.destroy()
  }

  #connect(): Agent {
    const { Agent } = loadUndici()
    const { ca, timeout } = this.#options
    return new Agent({
      connect: { timeout, ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [ca] }) },
      // A deadline stands over all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: 16_384,
      maxResponseSize: mostBytes,
    })
  }

  #safe(phase: AcmePhase, url: string): URL {
    const { directory } = this.#options
    const parsed = url.length <= 2_048 && URL.canParse(url) ? new URL(url) : undefined
    const plain = parsed?.protocol === 'http:' && isLoopback(parsed) && isLoopback(new URL(directory))
    if (parsed === undefined || (parsed.protocol !== 'https:' && !plain) || parsed.username !== '')
      throw new AcmeError({ code: 'wrong_url', phase, url: directory, what: `the server leads to ${url}` })
    return parsed
  }

  #answer(
    url: URL,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    text: string,
  ): AcmeAnswer {
    const fields = (name: string): string[] => [headers[name] ?? []].flat()
    const field = (name: string): string | undefined => fields(name)[0]
    return {
      url: url.href,
      status,
      text,
      field,
      links: (relation) => linksOf(fields('link'), relation, url),
      retryAfterMs: retryAfterMs(field('retry-after'), this.#seams.now()),
    }
  }
}

/** Whether requests to it never leave this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}

function linksOf(fields: readonly string[], relation: string, base: URL): string[] {
  const links = fields.flatMap((field) => field.slice(0, 8_192).split(/,(?=\s*<)/))
  return links.flatMap((link) => {
    const [, target = '', parameters = ''] = /^\s*<([^>]*)>(.*)$/.exec(link) ?? []
    const [, relations = ''] = /;\s*rel\s*=\s*"?([^";]*)"?/i.exec(parameters) ?? []
    const fits = relations.toLowerCase().split(/\s+/).includes(relation) && URL.canParse(target, base.href)
    return fits ? [new URL(target, base).href] : []
  })
}

function faultOf(error: Error & { code?: string }): [AcmeError['code'], string] {
  const { code = '', name, message } = error
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
    return ['too_large', `an answer of more than ${mostBytes} bytes`]
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return ['too_large', 'the head of an answer is too large']
  if (name === 'HTTPParserError') return ['malformed', message]
  return ['unreachable', message || code]
}
