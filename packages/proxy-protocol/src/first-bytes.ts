import type { Socket } from 'node:net'

/** Why there is no beginning: the time was up, the other end has ended its half, or the connection is gone. */
export type NoBeginning = 'timeout' | 'end' | 'gone'

/**
 * Reads what a connection begins with, before anybody else does, and puts back what isn't used up.
 *
 * @param timeout ms in all, however often bytes come
 * @param read is given all bytes so far, each time that more have come, and says how many of them it has used up;
 * `undefined` asks for more. It bounds what it asks for, and must not throw
 * @param done is called once, a tick later: then the stream is as new, and its next reader finds the rest in it. With a reason
 * where there is nothing more to come, or no time; after `'timeout'` all bytes have been put back
 */
export function firstBytes(
  socket: Socket,
  timeout: number,
  read: (bytes: Buffer) => number | undefined,
  done: (why?: NoBeginning) => void,
): void {
  let bytes: Buffer | undefined
  let timer: NodeJS.Timeout | undefined
  const settle = (rest: Buffer | undefined, why?: NoBeginning): void => {
    clearTimeout(timer)
    socket.off('readable', onReadable)
    socket.off('end', onEnd)
    socket.off('close', onClose)
    if (rest !== undefined && rest.length > 0 && !socket.readableEnded) socket.unshift(rest)
    process.nextTick(finish, why)
  }
  // A tick later: by then Node has noticed that nobody listens for `readable` any more, and whoever is next may choose how to read.
  const finish = (why?: NoBeginning): void => {
    socket.off('error', onError)
    if (socket.destroyed) done('gone')
    // Its end has been told, and whoever is next would wait for it in vain.
    else done(socket.readableEnded ? 'end' : why)
  }
  const onReadable = (): void => {
    for (let chunk: Buffer | null; ; ) {
      chunk = socket.read() as Buffer | null
      if (chunk === null) return
      bytes = bytes === undefined ? chunk : Buffer.concat([bytes, chunk])
      const used = read(bytes)
      if (used !== undefined) {
        settle(bytes.subarray(used))
        return
      }
    }
  }
  const onEnd = (): void => settle(undefined, 'end')
  const onClose = (): void => settle(undefined, 'gone')
  // `close` follows.
  const onError = (): void => {}
  timer = setTimeout(() => settle(bytes, 'timeout'), timeout)
  timer.unref()
  socket.on('error', onError)
  socket.on('close', onClose)
  socket.on('end', onEnd)
  socket.on('readable', onReadable)
}
