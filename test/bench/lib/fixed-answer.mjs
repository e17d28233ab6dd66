import { types } from './contents.mjs'
import { etag, piecesOf } from './scenarios.mjs'

/** As long as those of the origin that is nginx. */
const stamp = '0'.repeat(32)

/** Up to this size a body is kept as text: Node joins it with the head in one write. A larger one would be copied each time. */
const textUpTo = 16 * 1024

/**
 * A request listener that reads what comes and gives everybody the answer of a scenario. Where it reads a body it tells how
 * much that was, in a field `Received`.
 * @param stampOf makes another stamp for each answer that may be kept; without it all have the same
 */
export function fixedAnswer(scenario, stampOf) {
  const { up, down, chunks, content, pause, status, control } = scenario
  const pieces = piecesOf(scenario).map((text) => (down > textUpTo ? Buffer.from(text, 'latin1') : text))
  const last = pieces.pop()
  const head = {
    'Content-Type': types[content],
    ...(chunks === 0 && status !== 304 && { 'Content-Length': String(down) }),
    ...(control !== undefined && { 'Cache-Control': control, ETag: etag, 'Origin-Stamp': stamp }),
  }
  if (status === 304) return (_req, res) => res.writeHead(304, head).end()
  const answer = (res, more) => {
    res.writeHead(200, more === undefined ? head : { ...head, ...more })
    for (const piece of pieces) res.write(piece, 'latin1')
    res.end(last, 'latin1')
  }
  if (pause > 0) return (_req, res) => slowly(res.writeHead(200, head), [...pieces, last], pause)
  if (control !== undefined && stampOf !== undefined)
    return (_req, res) => answer(res, { 'Origin-Stamp': stampOf() })
  if (up === 0) return (_req, res) => answer(res)
  return (req, res) => {
    let received = 0
    req.on('data', (chunk) => {
      received += chunk.length
    })
    req.on('end', () => answer(res, { Received: String(received) }))
  }
}

/** One piece at once, and each further one after a pause. */
function slowly(res, [piece, ...rest], pause) {
  if (rest.length === 0) return res.end(piece, 'latin1')
  res.write(piece, 'latin1')
  const timer = setTimeout(() => {
    res.off('close', stop)
    slowly(res, rest, pause)
  }, pause)
  const stop = () => clearTimeout(timer)
  res.on('close', stop)
}
