// A server without any limit of ours, in a process of its own: the origin behind `slow-clients-process.mjs`, and in the bench what Node
// does alone. `/large` is more than anybody's buffers hold, `/large/8` has eight parts of 64 KB and says its length, `/chunks/8` doesn't; all else is small.
import { createServer } from 'node:http'

const part = Buffer.alloc(64 * 1024, 'x')

const server = createServer((req, res) => {
  req.on('error', () => {}).resume()
  res.on('error', () => {})
  const [, kind, parts = 512] = req.url.split('/')
  if (kind !== 'large' && kind !== 'chunks') return void req.on('end', () => res.end('ok'))
  let left = Number(parts)
  if (kind === 'large') res.setHeader('Content-Length', left * part.length)
  const more = () => {
    while (left > 0 && !res.destroyed) {
      left--
      if (!res.write(part)) return
    }
    res.end()
  }
  res.on('drain', more)
  more()
})
process.on('disconnect', () => process.exit())
server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 }, () =>
  process.send({ port: server.address().port }),
)
