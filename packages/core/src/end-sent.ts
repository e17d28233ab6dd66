import type { ServerHttp2Stream } from 'node:http2'

/** The real ones: fake timers in an app's tests are there to stop its clock, and not its proxy's streams. */
const immediately = setImmediate
const after = setTimeout

/** Looks in a row: an end that only waits for a write to be done goes out in the next turns. */
const atOnce = 8
/** How long until the next look at one that waits for its client, in ms. */
const every = 250

/**
 * Calls `fn` when END_STREAM has gone out on a stream that has finished, or the stream is closed. `finish` comes when Node has its last byte,
 * while the end may still wait for the window of the connection, and a reset would overtake it: the client would have half an answer (RFC 9113
 * section 8.1). Nothing tells when it has gone, so it is asked for.
 */
export function onEndSent(stream: ServerHttp2Stream, fn: () => void): void {
  immediately(look, stream, fn, 1)
}

function look(stream: ServerHttp2Stream, fn: () => void, times: number): void {
  if (stream.closed || stream.destroyed || stream.state.localClose === 1) fn()
  else if (times < atOnce) immediately(look, stream, fn, times + 1)
  else after(look, every, stream, fn, times).unref()
}
