import { EventEmitter } from 'node:events'
import { IncomingMessage, OutgoingMessage } from 'node:http'
import { Socket } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { ownMethod } from './own-method.js'

/*
 * Whether bytes go through Node's own code alone, on their way in and out. Tracers, recorders and host apps put methods of theirs in place of
 * Node's, on an object or on a prototype, and may keep what passes. What isn't known to be Node's counts as theirs.
 */

const emit = ownMethod(EventEmitter.prototype, 'emit', '_events')
const on = ownMethod(Readable.prototype, 'on', 'prototype.on')
const read = ownMethod(Readable.prototype, 'read', 'fromList')
const push = ownMethod(Readable.prototype, 'push', 'readableAddChunk')

type Internal = Record<'_send' | '_writeRaw' | '_write' | '_writev' | '_writeGeneric', unknown>
const outgoing = OutgoingMessage.prototype as OutgoingMessage & Internal
const connection = Socket.prototype as Socket & Internal

const writeMessage = ownMethod(outgoing, 'write', 'write_')
const sendMessage = ownMethod(outgoing, '_send', '_writeRaw')
const writeRaw = ownMethod(outgoing, '_writeRaw', 'conn.write')
const writeStream = ownMethod(Writable.prototype, 'write', '_write(this')
const writeOne = ownMethod(connection, '_write', '_writeGeneric(false')
const writeMany = ownMethod(connection, '_writev', '_writeGeneric(true')
const writeGeneric = ownMethod(connection, '_writeGeneric', 'writeGeneric(this')

/** Nobody has had a byte of this request's body, which Node's parser reads from a socket. */
export function isUnread(req: object): req is IncomingMessage {
  if (!(req instanceof IncomingMessage) || !(req.socket instanceof Socket)) return false
  const { parser } = req.socket as Socket & { parser?: { incoming?: unknown } | null }
  return (
    parser?.incoming === req &&
    !req.readableDidRead &&
    req.listenerCount('data') === 0 &&
    req.listenerCount('readable') === 0
  )
}

/** What a listener for `data` of this request gets now, no method of others has had; who else listens is another question. */
export function readsUnseen(req: IncomingMessage): boolean {
  return (
    req.readableFlowing === true &&
    req.readableEncoding === null &&
    req.emit === emit &&
    req.on === on &&
    req.addListener === on &&
    req.read === read &&
    req.push === push
  )
}

/** What is written to this socket, or as this response to HTTP/1, no method of others gets. */
export function writesUnseen(to: object | null): boolean {
  if (to instanceof OutgoingMessage) {
    const message = to as OutgoingMessage & Internal
    return (
      message.write === writeMessage &&
      message._send === sendMessage &&
      message._writeRaw === writeRaw &&
      writesUnseen(message.socket)
    )
  }
  if (!(to instanceof Socket)) return false
  const socket = to as Socket & Internal
  return (
    socket.write === writeStream &&
    socket._write === writeOne &&
    socket._writev === writeMany &&
    socket._writeGeneric === writeGeneric
  )
}
