import type { ServerHttp2Stream } from 'node:http2'

/** How often streams are looked at, in ms. */
const every = 1_000

const open = new Set<ServerHttp2Stream>()
let timer: NodeJS.Timeout | undefined

/**
 * Watches a stream of HTTP/2 for the one end that Node never tells: a client that doesn't read, and resets it with NO_ERROR
 * once its answer has ended on our side. Node waits for bytes to go out on a stream that is no more; the stream, its exchange
 * and in the end the connection, though its client has left, would stay for ever.
 */
export function watchClosed(stream: ServerHttp2Stream): void {
  open.add(stream)
  stream.once('close', forget)
  timer ??= setInterval(sweep, every).unref()
}

function forget(this: ServerHttp2Stream): void {
  open.delete(this)
}

function sweep(): void {
  // What has come and is still being read is read to its end.
  for (const stream of open) if (stream.closed && stream.readableEnded) stream.destroy()
  if (open.size > 0) return
  clearInterval(timer)
  timer = undefined
}
