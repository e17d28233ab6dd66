import { type Agent, type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import type { HeaderList } from '@sluice/headers'

/** The real one: fake timers in an app's tests are there to stop its clock, and not its reads. */
const immediately = setImmediate

/** A GET to a service of one's own. */
export interface Question {
  readonly url: URL
  /** Without Host. */
  readonly headers: HeaderList
  /** `false`: a connection of its own, which is closed behind it. */
  readonly agent: Agent | false
  /** For the whole answer, in ms. */
  readonly timeout: number
  /** Most bytes of a body. */
  readonly maxBody: number
  /** Whether the body is of use: if not, the answer is there with its head. */
  readonly wantsBody: (status: number) => boolean
  /** Aborts when nobody waits for it any longer. */
  readonly signal?: AbortSignal
}

/** What came back. */
export interface Answered {
  readonly status: number
  readonly headers: HeaderList
  /** Empty where it wasn't wanted. */
  readonly body: Buffer
}

/**
 * Asks, and again where a kept connection turned out to be closed: by the same agent, since its connections alone lead to the service and may be
 * told secrets. Each such answer is the end of one of them, so the last try has a new one. It follows no redirect, and keeps no process running.
 * @throws Error, by the promise, if no whole answer comes in time
 */
export async function ask(question: Question): Promise<Answered> {
  const end = performance.now() + question.timeout
  for (;;) {
    try {
      return await once(question, end)
    } catch (error) {
      if (!(error instanceof KeptClosed)) throw error
    }
  }
}

/** A kept connection had been closed from the other end: it has heard nothing of the question (RFC 9112 section 9.3.1). */
class KeptClosed extends Error {}

function once(question: Question, end: number): Promise<Answered> {
  const { url, headers, agent, timeout, maxBody, wantsBody, signal } = question
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? overHttps : overHttp
    const asked = send(url, {
      agent,
      headers: ['Host', url.host, ...headers] as never,
      ...(signal === undefined ? {} : { signal }),
    })
    const fail = (why: string): void => void asked.destroy(new Error(why))
    let over = false
    // An answer that has come while this process was busy is read before that.
    const timer = setTimeout(immediately, Math.max(1, end - performance.now()), () => {
      if (!over) fail(`no answer within ${timeout} ms`)
    })
    timer.unref()
    let begun = false
    asked.on('socket', (socket) => socket.unref())
    asked.on('error', (error: NodeJS.ErrnoException) => {
      const closed = error.code === 'ECONNRESET' || error.code === 'EPIPE'
      reject(asked.reusedSocket && closed && !begun ? new KeptClosed() : error)
    })
    asked.on('close', () => {
      over = true
      clearTimeout(timer)
      reject(new Error('the connection closed before an answer'))
    })
    asked.on('response', (response) => {
      begun = true
      const { statusCode: status = 0, rawHeaders } = response
      const wanted = wantsBody(status)
      if (!wanted) resolve({ status, headers: rawHeaders, body: Buffer.alloc(0) })
      collect(response, maxBody, fail, (body) => resolve({ status, headers: rawHeaders, body }))
      response.on('error', reject)
    })
    asked.end()
  })
}

function collect(
  response: IncomingMessage,
  maxBody: number,
  fail: (why: string) => void,
  done: (body: Buffer) => void,
): void {
  const chunks: Buffer[] = []
  let size = 0
  response.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBody) fail(`a body of more than ${maxBody} bytes`)
    else chunks.push(chunk)
  })
  response.on('end', () => done(Buffer.concat(chunks)))
}
