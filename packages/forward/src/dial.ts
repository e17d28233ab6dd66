import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import { parse, that, v } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import { addressPatience } from './address-patience.js'
import { type ConnectHook, connectHookTakes, isConnectHook, lookupOf, refusal } from './connect-hook.js'
import { proxyHeader } from './proxy-header.js'
import { addressOf } from './wire-connector.js'

/** Options of {@link dial}: those of the transport whose connections are to be like it. */
export interface DialOptions {
  /** Says where connections may go, and resolves names. Default: anywhere. */
  connect?: ConnectHook | undefined
  /** Each connection begins with a header of the PROXY protocol of this version, which names no client: LOCAL. Default: none. */
  proxyProtocol?: 1 | 2 | undefined
}

const optionsSchema = v.strictObject({
  connect: v.optional(that<ConnectHook>(isConnectHook, connectHookTakes)),
  proxyProtocol: v.optional(that<1 | 2>((value) => value === 1 || value === 2, '1 or 2')),
})

/**
 * Opens connections to targets as `wireTransport` does, below TLS, for whoever speaks to them by itself: probes that are to reach what requests
 * reach. What is given rejects with what the hook refuses by, or an error of the socket; an abort ends the connection, then and later.
 * @throws TypeError for a wrong option
 */
export function dial(options: DialOptions = {}): (target: Target, signal: AbortSignal) => Promise<Socket> {
  const { connect: hook, proxyProtocol } = parse(optionsSchema, options, 'dial')
  return (target, signal) =>
    new Promise((resolve, reject) => {
      const { connect: to, isNamed } = addressOf(target)
      const refused = refusal(hook, to)
      if (refused !== undefined) return reject(refused)
      const addresses = isNamed ? addressPatience.begin(target, 0) : undefined
      const socket = connect({
        ...to,
        lookup: lookupOf(hook),
        autoSelectFamilyAttemptTimeout: addresses?.timeout,
        signal,
      } as TcpNetConnectOpts)
      addresses?.watch(socket)
      socket.on('error', reject)
      socket.once('close', () => reject(new Error('the connection closed')))
      socket.once('connect', () => {
        if (proxyProtocol !== undefined) socket.write(proxyHeader(proxyProtocol, undefined))
        resolve(socket)
      })
    })
}
