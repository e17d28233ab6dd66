import type { ProbeAnswer } from './read-answers.js'

/** Where the requests of a probe go. */
export interface ProbeTarget {
  /** What a right Host field says: name and port. */
  readonly host: string
  /** The path that is asked for; the target's own, `/` if it has none. */
  readonly path: string
}

/** One write on the connection of a case. */
export interface ProbeStep {
  /** The bytes, one character each. */
  readonly bytes: string
  /** After these nothing more comes: our end of the connection is closed, and the server knows that it has all of it. */
  readonly finish?: boolean
  /** The server is asked to close behind its answer: all that it has to say before it does is waited for. */
  readonly last?: boolean
  /** The answer has no body, whatever its fields say: it is one to HEAD. */
  readonly bodiless?: boolean
}

/** What a step got back. */
export interface Seen {
  /** Final answers that came after it, whole or cut. */
  readonly answers: readonly ProbeAnswer[]
  /** Statuses of the informational answers before the first final one. */
  readonly interim: readonly number[]
  /** What the connection did: stayed `open`, was `closed` by the server, or was `silent` until the deadline. */
  readonly end: 'open' | 'closed' | 'silent'
}

/**
 * What is to be said of an outcome: `right`; `tolerated`, where the RFC lets a server do it and a careful one doesn't; or
 * `wrong`, which is what got through, or a good request that didn't.
 */
export type ProbeVerdict = 'right' | 'tolerated' | 'wrong'

/** How much an RFC asks for what a case looks at; `none`: no RFC does, good practice does. */
export type ProbeLevel = 'must' | 'should' | 'may' | 'none'

/** One request, or a few on one connection, and what is right to do with them. */
export interface ProbeCase {
  /** Stable name. */
  readonly id: string
  /** What is sent, in words. */
  readonly says: string
  /** Where what is right is written. */
  readonly source: string
  readonly level: ProbeLevel
  /** What is right, in words. */
  readonly right: string
  /** What is written, step by step. A later step is written once the one before has its answer, if the connection is open. */
  readonly send: (to: ProbeTarget) => readonly ProbeStep[]
  readonly judge: (seen: readonly Seen[]) => ProbeVerdict
}

/** A request with its Host field, as bytes. */
export function request(to: ProbeTarget, method: string, fields: readonly string[] = [], body = ''): string {
  return withLine(to, `${method} ${to.path} HTTP/1.1`, fields, body)
}

/** The same with a request line of one's own. */
export function withLine(to: ProbeTarget, line: string, fields: readonly string[] = [], body = ''): string {
  return `${[line, `Host: ${to.host}`, ...fields].join('\r\n')}\r\n\r\n${body}`
}

/** A POST whose body says that it is chunked; `body` is the chunks as they are written. */
export function chunked(to: ProbeTarget, body: string): string {
  return request(to, 'POST', ['Transfer-Encoding: chunked'], body)
}

/**
 * Bytes, and then a plain request on the same connection: whether that one is answered shows what the server has taken
 * the bytes for.
 */
export function thenPlain(first: (to: ProbeTarget) => string): ProbeCase['send'] {
  return (to) => [{ bytes: first(to) }, { bytes: request(to, 'GET') }]
}
