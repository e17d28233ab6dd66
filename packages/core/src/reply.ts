import { type Duplex, Readable, type Writable } from 'node:stream'
import type { HeaderList } from '@sluice/headers'
import { toBody } from './bodies.js'
import { type Body, type BodyInit, isBody } from './body.js'

/** The answer to an exchange, as a value: layers read it, change it, or make another. */
export interface Reply {
  /** 200 to 599, or 101 with `socket`. */
  status: number
  /** What the target calls the status, where that isn't the usual name. It has no meaning (RFC 9112 section 4); mounts write the usual one. */
  reason?: string
  /** The version of HTTP by which the target has sent it, where that isn't 1.1. `Via` tells it (RFC 9110 section 7.6.3). */
  version?: '1.0' | '2.0'
  headers: HeaderList
  body: BodyInit
  /** Fields after the body; read after the body's end. */
  trailers?: () => HeaderList | undefined
  /** With 101 alone: the upgraded connection to the target. Layers that transform bodies pass such a reply on untouched. */
  socket?: Duplex
  /** With 101 alone: bytes of the new protocol that came with the target's head. */
  head?: Buffer
  /** The seam between a cache and a compressor. */
  variants?: Variants
}

/** Coded forms of one stored body: a cache offers it, a compressor asks it for the coded bytes or fills it. */
export interface Variants {
  /** The body in this coding, if it is there. */
  get(coding: string): BodyInit | undefined
  /**
   * Where to write the body in this coding, if it may be kept; it is destroyed as soon as it may not. What `get` gives stays until it has
   * finished, and is this one from then on: so a form that is there can be made better.
   */
  put(coding: string): Writable | undefined
}

/** Drops a reply: its body is cancelled, its socket closed. Whoever doesn't pass a reply on calls it. */
export function discard(reply: Reply): void {
  // Code without types may have given no reply, or one without a body.
  if (typeof reply !== 'object' || reply === null) return
  reply.socket?.destroy()
  const { body } = reply
  if (typeof body !== 'object' || body === null || body instanceof Uint8Array) return
  if (isBody(body)) body.cancel()
  // A stream that was still opening fails after this: nobody else listens, and that must not end the process.
  else if (body instanceof Readable) body.on('error', ignore).destroy()
}

function ignore(): void {}

/**
 * Calls `fn` once when the reply's body has ended (`undefined`), failed or been cancelled (the error); for a reply with a
 * socket, when that has closed. A body that can't tell by itself is replaced in the reply by one that can.
 */
export function onBodyEnd<T>(reply: Reply, fn: (error: Error | undefined, arg: T) => void, arg: T): void {
  if (reply.socket !== undefined) {
    const { socket } = reply
    if (socket.destroyed) fn(undefined, arg)
    else socket.once('close', () => fn(undefined, arg))
    return
  }
  const { body } = reply
  if (body === null || typeof body === 'string' || body instanceof Uint8Array) return fn(undefined, arg)
  let told: Body | null = isBody(body) ? body : toBody(body)
  if (told?.onEnd === undefined) told = toBody((told as Body).readable())
  reply.body = told
  ;(told as Body).onEnd?.(fn, arg)
}

/**
 * "Not mine": under Express and Connect the mount calls `next()`, elsewhere the client gets 404. Layers pass it on as it
 * is; it is one shared value, so its fields can't be changed.
 */
export const unhandled: Reply = Object.freeze({
  status: 404,
  get headers(): HeaderList {
    return ['content-type', 'text/plain; charset=utf-8']
  },
  body: '404 Not Found\n',
})
