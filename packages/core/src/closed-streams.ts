import type { ServerHttp2Stream } from 'node:http2'
import { type Linked, LinkedList } from './linked-list.js'

/** The real one: fake timers in an app's tests are there to stop its clock, and not its proxy's streams. */
const immediately = setImmediate

/** How often streams are looked at, in ms. */
const every = 1_000

/** A stream that hasn't closed. */
class Open implements Linked<Open> {
  next: Open | undefined = undefined
  previous: Open | undefined = undefined

  constructor(readonly stream: ServerHttp2Stream) {}
}

const open = new LinkedList<Open>()
const place = Symbol('open')
type Placed = ServerHttp2Stream & { [place]?: Open | undefined }
let timer: NodeJS.Timeout | undefined

/**
 * Watches a stream of HTTP/2 for the one end that Node never tells: a client that doesn't read, and resets it with NO_ERROR
 * once its answer has ended on our side. Node waits for bytes to go out on a stream that is no more; the stream, its exchange
 * and in the end the connection, though its client has left, would stay for ever.
 */
export function watchClosed(stream: ServerHttp2Stream): void {
  // Two mounts may have it, one after the other.
  if ((stream as Placed)[place] !== undefined) return
  const one = new Open(stream)
  open.add(one)
  ;(stream as Placed)[place] = one
  stream.on('close', forget)
  timer ??= setInterval(sweep, every).unref()
}

/**
 * Watches a stream whose request has a body for a reset with NO_ERROR in the middle of it, which Node's own clients send when they
 * destroy a request. Node ends the request as if all had come, and half a body would pass for a whole one. Whole is what ends while the
 * stream is open (END_STREAM, RFC 9113 section 5.1); else the stream is destroyed, as with any other code.
 */
export function watchCut(stream: ServerHttp2Stream): void {
  // Where an app has taken its time all of it may be there.
  if (stream.readableLength === 0 || stream.state.remoteClose !== 1) stream.push = pushWatched
}

function pushWatched(this: ServerHttp2Stream, chunk: unknown, encoding?: BufferEncoding): boolean {
  const { push } = Object.getPrototypeOf(this) as ServerHttp2Stream
  if (chunk === null) {
    this.push = push
    if (this.closed && !this.destroyed) {
      // Not at once: Node is about to read from it.
      immediately(destroy, this)
      return false
    }
  }
  return push.call(this, chunk, encoding)
}

function destroy(stream: ServerHttp2Stream): void {
  stream.destroy()
}

function forget(this: Placed): void {
  open.remove(this[place] as Open)
  this[place] = undefined
}

function sweep(): void {
  open.forEach(endClosed, undefined)
  if (open.first !== undefined) return
  clearInterval(timer)
  timer = undefined
}

/** What has come and is still being read is read to its end. */
function endClosed({ stream }: Open): void {
  if (stream.closed && stream.readableEnded) stream.destroy()
}
