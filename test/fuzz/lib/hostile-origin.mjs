import { createServer } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

/**
 * A target that gives each request the bytes which `answer` has for its path, in pieces, and then ends the connection, resets it, or does
 * nothing. Requests are those of the proxy, which are well-formed.
 * @param {(path: string) => { bytes: Buffer, cuts: number[], ending: 'end' | 'reset' | 'stay' }} answer
 */
export async function hostileOrigin(answer) {
  const sockets = new Set()
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    let rest = ''
    let busy = Promise.resolve()
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('end', () => socket.end())
    socket.on('data', (chunk) => {
      rest += chunk.toString('latin1')
      for (;;) {
        const end = rest.indexOf('\r\n\r\n')
        if (end === -1) return
        const head = rest.slice(0, end)
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
        if (rest.length < end + 4 + length) return
        rest = rest.slice(end + 4 + length)
        const [, path] = head.split(' ', 2)
        busy = busy.then(() => give(socket, answer(path)))
      }
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    get open() {
      return sockets.size
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

async function give(socket, { bytes, cuts, ending }) {
  let from = 0
  for (const stop of [...cuts, bytes.length]) {
    if (stop <= from || !socket.writable) continue
    socket.write(bytes.subarray(from, stop))
    from = stop
    await turn()
  }
  if (ending === 'end') socket.end()
  else if (ending === 'reset') socket.resetAndDestroy()
}
