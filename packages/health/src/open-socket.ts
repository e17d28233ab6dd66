import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { pinFault, type Target, tlsOptions } from '@sluice/upstream'
import { targetAddress } from './target-address.js'

/** Opens a connection and waits until it stands. What aborts it ends it, then and later. */
export function openTcp(target: Target, signal: AbortSignal): Promise<Socket> {
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
export function openTls(target: Target, alpn: readonly string[], signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...targetAddress(target), ...tlsOptions(target, alpn), signal } as object)
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the connection closed during the handshake')))
    socket.once('secureConnect', () => {
      const fault = pinFault(target, socket)
      if (fault === undefined) resolve(socket)
      else socket.destroy(fault)
    })
  })
}
