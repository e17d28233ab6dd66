import { EventEmitter } from 'node:events'
import { IncomingMessage, OutgoingMessage, type ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { ownMethod } from './own-method.js'

const emit = ownMethod(EventEmitter.prototype, 'emit', '_events')
const on = ownMethod(Readable.prototype, 'on', 'prototype.on')
const read = ownMethod(Readable.prototype, 'read', 'fromList')
const push = ownMethod(Readable.prototype, 'push', 'readableAddChunk')
const write = ownMethod(OutgoingMessage.prototype, 'write', 'write_')

/**
 * Whether nobody has seen a byte of this request's body, or will before `data`: Node's own parser reads it from a socket, no
 * code of others has listened, and none of the methods that bytes pass through has been replaced, as tracers do.
 */
export function isUnobserved(req: object): boolean {
  return (
    req instanceof IncomingMessage &&
    req.socket instanceof Socket &&
    !req.readableDidRead &&
    req.listenerCount('data') === 0 &&
    req.emit === emit &&
    req.on === on &&
    req.addListener === on &&
    req.read === read &&
    req.push === push
  )
}

/** Whether what this response writes goes through Node's own code alone into a socket of Node's. */
export function writesUnobserved(res: ServerResponse | Http2ServerResponse): boolean {
  return res.write === write && res.socket instanceof Socket
}
