import type { ClientHttp2Stream, IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2'
import type { HeaderList } from '@sluice/headers'

/** Who hears what happens to a stream. Lists of fields are as they came, pseudo fields included. */
export interface StreamOwner {
  /** Fields of an informational response; without a status they are none. */
  headersCame(status: number | undefined, raw: HeaderList): void
  /** @param ended the stream ends with its head */
  responseCame(status: number, raw: HeaderList, ended: boolean): void
  trailersCame(raw: HeaderList): void
  /** Everything that has come is read, whole or not. */
  readToEnd(): void
  streamFailed(error: Error): void
  streamClosed(): void
  /** It has closed while the request's half was open. */
  streamAborted(): void
  streamDrained(): void
  /** The request's last byte has gone out, and its trailers may follow. */
  wantsTrailers(stream: ClientHttp2Stream): void
}

const owner = Symbol('sluice.owner')
type Owned = ClientHttp2Stream & { [owner]?: StreamOwner | undefined }
type Fields = IncomingHttpHeaders & IncomingHttpStatusHeader

/** Tells `to` of everything. The listeners are the same functions for all streams. */
export function listen(stream: ClientHttp2Stream, to: StreamOwner): void {
  ;(stream as Owned)[owner] = to
  // The third argument, which no type tells of, is the list as it came: order and repeated fields are lost in the object.
  stream.on('headers', onHeaders as never)
  stream.on('response', onResponse as never)
  stream.on('trailers', onTrailers as never)
  stream.on('end', onEnd)
  stream.on('error', onError)
  stream.on('close', onClose)
  stream.on('aborted', onAborted)
  stream.on('drain', onDrain)
  stream.on('wantTrailers', onWantTrailers)
}

/** Tells nobody any more; errors stay caught. */
export function unlisten(stream: ClientHttp2Stream): void {
  ;(stream as Owned)[owner] = undefined
}

function onHeaders(this: Owned, fields: Fields, _flags: number, raw: HeaderList): void {
  this[owner]?.headersCame(fields[':status'], raw)
}

function onResponse(this: Owned, fields: Fields, flags: number, raw: HeaderList): void {
  this[owner]?.responseCame(Number(fields[':status']), raw, (flags & 1) === 1)
}

function onTrailers(this: Owned, _fields: Fields, _flags: number, raw: HeaderList): void {
  this[owner]?.trailersCame(raw)
}

function onEnd(this: Owned): void {
  this[owner]?.readToEnd()
}

function onError(this: Owned, error: Error): void {
  this[owner]?.streamFailed(error)
}

function onClose(this: Owned): void {
  this[owner]?.streamClosed()
}

function onAborted(this: Owned): void {
  this[owner]?.streamAborted()
}

function onDrain(this: Owned): void {
  this[owner]?.streamDrained()
}

function onWantTrailers(this: Owned): void {
  this[owner]?.wantsTrailers(this)
}
