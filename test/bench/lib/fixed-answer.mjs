import { createServer } from 'node:http'
import { bodyOf } from './scenarios.mjs'

/** Up to this size a body is kept as text: Node joins it with the head in one write. A larger one would be copied each time. */
const textUpTo = 16 * 1024

/** A `node:http` server that gives the body of a scenario to everybody. */
export function fixedAnswer(size, options = {}) {
  const text = bodyOf(size)
  const body = size > textUpTo ? Buffer.from(text, 'latin1') : text
  const head = ['Content-Type', 'text/plain', 'Content-Length', String(size)]
  return createServer(options, (_req, res) => res.writeHead(200, head).end(body, 'latin1'))
}
