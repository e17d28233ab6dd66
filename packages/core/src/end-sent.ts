import type { ServerHttp2Stream } from 'node:http2'

/** The real one: fake timers in an app's tests are there to stop its clock, and not its proxy's streams. */
const immediately = setImmediate
const after = setTimeout

/** How often is looked again whether the end has gone out, in ms. */
const every = 250

/**
 * Calls `fn` when END_STREAM has gone out on a stream that has finished, or the stream is closed. `finish` comes when Node has its last byte,
 * while the end may still wait for the window of the connection, and a reset would overtake it: the client would have half an answer (RFC 9113
 * section 8.1). Nothing tells when it has gone, so it is asked for.
 */
export function onEndSent(stream: ServerHttp2Stream, fn: () => void): void {
  immediately(look, stream, fn)
}

function look(stream: ServerHttp2Stream, fn: () => void): void {
  if (stream.closed || stream.destroyed || stream.state.localClose === 1) fn()
  else after(look, every, stream, fn).unref()
}
