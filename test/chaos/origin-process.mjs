// A server in a process of its own, to be killed, stopped and told how to behave. What it has processed it tells at once, since it
// may be gone a moment later.
import { createServer } from 'node:http'

let mode = 'ok'
const slowBy = 5_000
const server = createServer((req, res) => {
  const { method, url } = req
  if (mode === 'reset') return req.socket.resetAndDestroy()
  if (mode === '503') return res.writeHead(503, { 'content-type': 'text/plain' }).end('busy')
  req.resume()
  req.on('end', () => {
    // Done is what it says before it answers: the answer may never arrive.
    if (method === 'POST') process.send({ done: url })
    setTimeout(
      () => {
        res.writeHead(200, { 'content-type': 'text/plain' })
        res.write('first part, ')
        setImmediate(() => res.end('second part'))
      },
      mode === 'slow' ? slowBy : 0,
    )
  })
})
server.on('connection', (socket) => {
  socket.on('error', () => {})
  if (mode === 'reset') socket.resetAndDestroy()
})
process.on('message', (message) => {
  mode = message.mode
  process.send({ mode })
})
process.on('disconnect', () => process.exit())
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => process.send({ port: server.address().port }))
