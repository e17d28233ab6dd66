import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { pinFault, type Target, tlsOptions } from '@sluice/upstream'
import { targetAddress } from './target-address.js'

/**
 * Opens a connection to a target, below TLS, and gives it when it stands and whatever has to go ahead is written. What aborts it ends it, then and
 * later.
 */
export type Dial = (target: Target, signal: AbortSignal) => Promise<Socket>

/** What probes take from outside. */
export interface ProbeSeams {
  /**
   * How connections are opened, where requests do it in a way of their own: `dial()` of `@sluice/forward` goes by a connect hook and writes a
   * header of the PROXY protocol. Default Node's `net.connect`.
   */
  dial?: Dial | undefined
}

/** Opens a connection and waits until it stands. What aborts it ends it, then and later. */
export function openTcp(target: Target, signal: AbortSignal, { dial }: ProbeSeams): Promise<Socket> {
  if (dial !== undefined) return dial(target, signal)
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ ...targetAddress(target), signal })
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the connection closed')))
    socket.once('connect', () => resolve(socket))
  })
}

/**
 * Opens a connection with TLS by the target's own settings, as requests do, and waits until its handshake is over: a probe must
 * not refuse a certificate that they accept, nor accept one that they refuse.
 */
export async function openTls(
  target: Target,
  alpn: readonly string[],
  signal: AbortSignal,
  seams: ProbeSeams,
): Promise<TLSSocket> {
  const below = await openTcp(target, signal, seams)
  return new Promise((resolve, reject) => {
    const socket = connectTls({ socket: below, ...tlsOptions(target, alpn) })
    socket.on('error', reject)
    // An abort ends the connection below with its reason, and that of TLS with it.
    below.on('error', (error) => socket.destroy(error))
    socket.once('close', () => reject(new Error('the connection closed during the handshake')))
    socket.once('secureConnect', () => {
      const fault = pinFault(target, socket)
      if (fault === undefined) resolve(socket)
      else socket.destroy(fault)
    })
  })
}
