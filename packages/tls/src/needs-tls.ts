import type { Server } from 'node:tls'
import { fault, quote } from '@sluice/options'

/** @throws TypeError for what is no server of TLS */
export function needsTls(server: Server): void {
  if (!('setSecureContext' in Object(server)))
    throw new TypeError(fault('server', quote(server), 'one of node:tls, https or http2.createSecureServer'))
}
