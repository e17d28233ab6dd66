import { piecesOf } from './scenarios.mjs'

/** Up to this size a body is kept as text: Node joins it with the head in one write. A larger one would be copied each time. */
const textUpTo = 16 * 1024

/**
 * A request listener that reads what comes and gives everybody the answer of a scenario. Where it reads a body it tells how
 * much that was, in a field `Received`.
 */
export function fixedAnswer(scenario) {
  const { up, down, chunks } = scenario
  const pieces = piecesOf(scenario).map((text) => (down > textUpTo ? Buffer.from(text, 'latin1') : text))
  const last = pieces.pop()
  const head = { 'Content-Type': 'text/plain', ...(chunks === 0 && { 'Content-Length': String(down) }) }
  const answer = (res, more) => {
    res.writeHead(200, more === undefined ? head : { ...head, ...more })
    for (const piece of pieces) res.write(piece, 'latin1')
    res.end(last, 'latin1')
  }
  if (up === 0) return (_req, res) => answer(res)
  return (req, res) => {
    let received = 0
    req.on('data', (chunk) => {
      received += chunk.length
    })
    req.on('end', () => answer(res, { Received: String(received) }))
  }
}
