import { randomBytes } from 'node:crypto'
import type { BodyInit, Reply } from '@sluice/core'
import { judgeConditions } from '@sluice/headers'
import type { Asked } from './asked.js'
import type { CacheRequest } from './cache-request.js'
import { preconditionFailed } from './conditional-reply.js'
import type { Prepared } from './prepared.js'
import { serveRange } from './serve-range.js'
import type { Entry } from './store.js'
import { TrailedBody } from './trailed-body.js'

/**
 * The answer to a request out of a stored response: the conditions first, then the range (RFC 9110 section 13.2.2). A cache answers
 * both itself, whatever the target would do.
 * @returns `undefined` where the entry hasn't the bytes that are wanted
 */
export function answer(
  { headers: requested, method }: CacheRequest,
  asked: Asked,
  entry: Entry,
  prepared: Prepared,
  now: number,
): Reply | undefined {
  if (asked.conditional && prepared.success) {
    const status = judgeConditions(asked, prepared)
    if (status === 304) return { status, headers: prepared.fieldsOf304(now), body: null }
    if (status === 412) return preconditionFailed()
  }
  const { head, size } = entry
  // Of a body whose end isn't known yet no range can be told: then all of it is the answer (RFC 9110 section 14.2).
  const known = !Number.isNaN(size)
  if (asked.range !== undefined && known && method === 'GET' && prepared.success) {
    const fields = prepared.fields(now, undefined)
    const source = { status: head.status, headers: fields, size, part: head.part, body: bytes(entry) }
    const served = serveRange(method, requested, source, newBoundary)
    if (served === 'fetch') return undefined
    if (served !== 'whole') return served
  }
  if (head.part !== undefined) return undefined
  const { trailers } = entry
  // Fields after the body go with a body of no said length.
  const trailed = trailers !== undefined && head.length === undefined
  const headers = prepared.fields(now, trailed || !known ? undefined : size)
  if (method === 'HEAD') return { status: head.status, headers, body: null }
  const reply: Reply = {
    status: head.status,
    headers,
    body: entry.bytes ?? bytesOf(entry, entry.body(), size),
  }
  if (trailed) reply.body = new TrailedBody(reply.body, trailers)
  else if (entry.variants !== undefined) reply.variants = entry.variants
  return reply
}

function bytes(entry: Entry): (from: number, to: number) => BodyInit {
  return (from, to) => bytesOf(entry, entry.body(from, to), to - from)
}

/** @throws Error where the store gives another number of bytes than it says it has: the answer would break off, or be refused */
function bytesOf({ size }: Entry, body: BodyInit, count: number): BodyInit {
  if (Number.isNaN(size)) return body
  const length = body === null ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : lengthOf(body)
  if (length !== undefined && length !== count)
    throw new Error(`the store gives ${length} bytes where it has ${count}`)
  return body
}

function lengthOf(body: object): number | undefined {
  return 'length' in body && typeof body.length === 'number' ? body.length : undefined
}

/** Random, so that nobody can put one into a body beforehand (RFC 9110 section 14.6). */
function newBoundary(): string {
  return randomBytes(18).toString('hex')
}
