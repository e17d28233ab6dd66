import { readChunks, readFields, readFraming, readLines, Unclear, valuesOf } from './strict-message.mjs'

const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/
const host = /^(\[[\da-f:.]+\]|[\w.~!$&'()*+;=%-]+)(:\d*)?$/i

/**
 * Reads the requests that come over one connection, as a target does that takes nothing which could be read in two ways. What
 * isn't clear is its `fault`; from then on it reads no more.
 */
export class StrictRequests {
  /** Whole requests so far. */
  requests = []
  /** @type {string | undefined} */
  fault
  /** A CONNECT has come: what follows is no longer HTTP. */
  tunnel = false
  #rest = Buffer.alloc(0)
  #onRequest

  /** @param onRequest called with each whole request */
  constructor(onRequest = () => {}) {
    this.#onRequest = onRequest
  }

  /** Bytes of a request that is not all there. */
  get rest() {
    return this.#rest
  }

  push(chunk) {
    if (this.fault !== undefined || this.tunnel) return
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    try {
      for (;;) {
        const found = readRequest(this.#rest)
        if (found === undefined) return
        this.#rest = this.#rest.subarray(found.end)
        this.requests.push(found)
        this.#onRequest(found)
        if (found.method === 'CONNECT') {
          this.tunnel = true
          this.#rest = this.#rest.subarray(0, 0)
          return
        }
      }
    } catch (error) {
      if (!(error instanceof Unclear)) throw error
      this.fault = error.message
    }
  }
}

/** One request; undefined if it is not all there. Its head is judged as soon as it is there, whatever becomes of its body. */
export function readRequest(bytes) {
  if (bytes.length === 0) return undefined
  const head = readLines(bytes, 0)
  if (head === undefined) {
    const first = bytes.toString('latin1', 0, Math.min(bytes.length, 16))
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+( |$)/.test(first))
      throw new Unclear(`no request: ${JSON.stringify(first)}`)
    return undefined
  }
  const line = requestLine.exec(head.lines[0] ?? '')
  if (line === null)
    throw new Unclear(`the request line ${JSON.stringify((head.lines[0] ?? '').slice(0, 80))}`)
  const [, method, target, minor] = line
  if (!fits(method, target))
    throw new Unclear(`the request-target of ${method} ${JSON.stringify(target.slice(0, 80))}`)
  const fields = readFields(head.lines.slice(1))
  const hosts = valuesOf(fields, 'host')
  if (hosts.length !== 1 || !host.test(hosts[0])) throw new Unclear(`Host ${JSON.stringify(hosts)}`)
  const framing = readFraming(fields)
  if (framing === 'chunked' && minor === '0') throw new Unclear('chunks in HTTP/1.0')
  const request = {
    method,
    target,
    version: `1.${minor}`,
    fields,
    framing,
    body: bytes.subarray(0, 0),
    trailers: [],
    end: head.end,
  }
  if (framing === undefined || method === 'CONNECT') return request
  if (framing === 'chunked') {
    const read = readChunks(bytes, head.end)
    return read && { ...request, ...read }
  }
  const end = head.end + framing
  return bytes.length < end ? undefined : { ...request, body: bytes.subarray(head.end, end), end }
}

/** Each form of the request-target is for its own methods (RFC 9112 section 3.2). */
function fits(method, target) {
  if (method === 'CONNECT') return /^[^/@]+:\d+$/.test(target)
  return target[0] === '/' || (target === '*' && method === 'OPTIONS')
}
