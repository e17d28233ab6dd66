import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
} from 'node:http2'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Readable, Writable } from 'node:stream'
import { deferred, within } from './until.js'

/** A request of a test. */
export interface Ask {
  method?: string
  path?: string
  /** Flat list. Host is added unless it is there. */
  headers?: readonly string[]
  /** Sent with its length unless `chunked`. */
  body?: string | Uint8Array
  /** Sends the body without a length, in two pieces. */
  chunked?: boolean
  /** Leaves the body open: the test writes it through `Call.body`. */
  open?: boolean
}

/** The head of an answer. */
export interface Head {
  readonly status: number
  /** Flat list as it came; names on HTTP/2 are in lower case. */
  readonly headers: string[]
  readonly body: Readable
}

/** An answer that has come to its end, one way or the other. */
export interface Answer {
  readonly status: number
  readonly headers: string[]
  readonly body: Buffer
  readonly text: string
  readonly trailers: string[]
  /** Whether the body came to its proper end; `false` if the connection or the stream was cut. */
  readonly complete: boolean
}

/** A request under way. */
export interface Call {
  /** Where an open body is written. */
  readonly body: Writable
  /** Rejects if the connection ends before a head has come. */
  readonly head: Promise<Head>
  /** Informational answers so far, with their fields. */
  readonly informed: readonly { readonly status: number; readonly headers: string[] }[]
  /** Reads the rest of the answer. */
  answer(): Promise<Answer>
  /** Leaves at once. */
  abort(): void
}

/** Speaks to a server of the tests, over HTTP/1.1 or HTTP/2 alike. */
export interface HttpClient {
  /** Sends and reads all. */
  ask(ask?: Ask): Promise<Answer>
  /** Sends and leaves the rest to the test. */
  call(ask?: Ask): Call
  close(): Promise<void>
}

export interface ClientOptions {
  readonly port: number
  /** The server's certificate, where it speaks TLS. */
  readonly ca?: Buffer | undefined
  readonly http2?: boolean
  /** What the client proves who it is by. */
  readonly identity?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined
}

export function httpClient(options: ClientOptions): HttpClient {
  return options.http2 ? new Http2Client(options) : new Http1Client(options)
}

const withoutLength = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']

class Http1Client implements HttpClient {
  private readonly agent: Agent
  private readonly calls = new Set<ClientRequest>()

  constructor(private readonly options: ClientOptions) {
    const { ca, identity } = options
    this.agent =
      ca === undefined ? new Agent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true, ca, ...identity })
  }

  ask(ask: Ask = {}): Promise<Answer> {
    return this.call(ask).answer()
  }

  call(ask: Ask = {}): Call {
    const { port, ca } = this.options
    const { method = 'GET', path = '/', headers = [], body, chunked = false, open = false } = ask
    const list = [...headers]
    if (!has(list, 'host')) list.unshift('Host', `127.0.0.1:${port}`)
    if (!has(list, 'content-length') && !has(list, 'transfer-encoding')) {
      if (open || (chunked && body !== undefined)) list.push('Transfer-Encoding', 'chunked')
      else if (body !== undefined) list.push('Content-Length', String(Buffer.byteLength(body)))
      else if (!withoutLength.includes(method)) list.push('Content-Length', '0')
    }
    const send = ca === undefined ? httpRequest : httpsRequest
    const req = send({
      port,
      host: '127.0.0.1',
      method,
      path,
      agent: this.agent,
      headers: list as never,
      setHost: false,
    })
    this.calls.add(req)
    req.on('close', () => this.calls.delete(req))
    const head = deferred<Head>()
    const informed: { status: number; headers: string[] }[] = []
    let response: IncomingMessage | undefined
    req.on('information', ({ statusCode, rawHeaders }) =>
      informed.push({ status: statusCode, headers: rawHeaders }),
    )
    req.on('response', (res) => {
      response = res
      // An answer that is cut while nobody reads it is no error of the test's.
      res.on('error', () => {})
      head.resolve({ status: res.statusCode ?? 0, headers: res.rawHeaders, body: res })
    })
    req.on('error', (error) => head.reject(error))
    req.on('close', () => head.reject(new Error('the connection closed before an answer')))
    if (!open) write(req, body, chunked)
    else req.flushHeaders()
    return {
      body: req,
      head: head.promise,
      informed,
      async answer() {
        const {
          status,
          headers: fields,
          body: stream,
        } = await within(head.promise, `an answer to ${method} ${path}`)
        const { bytes, ended } = await read(stream)
        return answer(
          status,
          fields,
          bytes,
          response?.rawTrailers ?? [],
          ended && response?.complete === true,
        )
      },
      abort: () => void req.destroy(),
    }
  }

  async close(): Promise<void> {
    for (const call of this.calls) call.destroy()
    this.agent.destroy()
  }
}

class Http2Client implements HttpClient {
  private session: ClientHttp2Session | undefined

  constructor(private readonly options: ClientOptions) {}

  ask(ask: Ask = {}): Promise<Answer> {
    return this.call(ask).answer()
  }

  call(ask: Ask = {}): Call {
    const { method = 'GET', path = '/', headers = [], body, chunked = false, open = false } = ask
    const fields: Record<string, string | string[]> = {
      ':method': method,
      ':path': path,
      ':authority': `127.0.0.1:${this.options.port}`,
    }
    for (let i = 0; i < headers.length; i += 2) {
      const given = (headers[i] as string).toLowerCase()
      const name = given === 'host' ? ':authority' : given
      const before = fields[name]
      const text = headers[i + 1] as string
      fields[name] = before === undefined || name[0] === ':' ? text : [before, text].flat()
    }
    if (body !== undefined && !chunked && fields['content-length'] === undefined) {
      fields['content-length'] = String(Buffer.byteLength(body))
    }
    const ends = !open && body === undefined
    const stream = this.open().request(fields, { endStream: ends })
    const head = deferred<Head>()
    const informed: { status: number; headers: string[] }[] = []
    let trailers: string[] = []
    stream.on('headers', (found, _flags, raw?: string[]) => {
      informed.push({ status: Number(found[':status']), headers: plain(raw ?? []) })
    })
    stream.on('response', (found, _flags, raw?: string[]) => {
      head.resolve({ status: Number(found[':status']), headers: plain(raw ?? []), body: stream })
    })
    stream.on('trailers', (_found, _flags, raw?: string[]) => {
      trailers = raw ?? []
    })
    stream.on('error', (error) => head.reject(error))
    stream.on('close', () => head.reject(new Error(`the stream closed before an answer (${stream.rstCode})`)))
    if (!ends && !open) write(stream, body, chunked)
    return {
      body: stream,
      head: head.promise,
      informed,
      async answer() {
        const {
          status,
          headers: list,
          body: source,
        } = await within(head.promise, `an answer to ${method} ${path}`)
        const { bytes, ended } = await read(source)
        return answer(status, list, bytes, trailers, ended && stream.rstCode === constants.NGHTTP2_NO_ERROR)
      },
      // `close()` would send the end of the request ahead of the reset.
      abort: () => void stream.destroy(new Error('the client leaves')),
    }
  }

  async close(): Promise<void> {
    this.session?.destroy()
  }

  private open(): ClientHttp2Session {
    if (this.session === undefined || this.session.closed || this.session.destroyed) {
      const { port, ca, identity } = this.options
      this.session = connectHttp2(
        `${ca === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
        ca === undefined ? {} : { ca, ...identity },
      )
      this.session.on('error', () => {})
    }
    return this.session
  }
}

/** Without pseudo fields. */
function plain(raw: readonly string[]): string[] {
  const list: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]?.[0] !== ':') list.push(raw[i] as string, raw[i + 1] as string)
  }
  return list
}

function has(list: readonly string[], name: string): boolean {
  return list.some((each, i) => i % 2 === 0 && each.toLowerCase() === name)
}

function write(
  to: ClientRequest | ClientHttp2Stream,
  body: string | Uint8Array | undefined,
  inPieces: boolean,
): void {
  if (body === undefined) {
    to.end()
    return
  }
  const bytes = Buffer.from(body as string)
  if (!inPieces) {
    to.end(bytes)
    return
  }
  const middle = bytes.length >> 1
  if (middle > 0) to.write(bytes.subarray(0, middle))
  to.end(bytes.subarray(middle))
}

function answer(
  status: number,
  headers: string[],
  body: Buffer,
  trailers: string[],
  complete: boolean,
): Answer {
  return { status, headers, body, text: body.toString('latin1'), trailers, complete }
}

/** What comes until the end or the breach, and which of the two it was. */
async function read(stream: Readable): Promise<{ bytes: Buffer; ended: boolean }> {
  const chunks: Buffer[] = []
  let ended = stream.readableEnded
  await within(
    new Promise<void>((resolve) => {
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', () => {})
      stream.on('close', resolve)
      // An HTTP/2 stream closes only when the request has ended too.
      stream.on('end', () => {
        ended = true
        resolve()
      })
      if (stream.destroyed) resolve()
    }),
    'the end of an answer',
  )
  return { bytes: Buffer.concat(chunks), ended }
}
