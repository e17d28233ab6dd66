// A target in a process of its own that refuses uploads: it answers after the first bytes, and resets what still comes.
import { createServer } from 'node:net'

const answer = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large'
const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', () => {
    socket.pause()
    // Closed with bytes unread, so that the system resets it.
    socket.write(answer, () => socket.destroy())
  })
})
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`))
