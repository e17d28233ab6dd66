import type { TLSSocket } from 'node:tls'
import { pinFault, type SecuredOptions, type Target, tlsOptions } from '@sluice/upstream'
import type { buildConnector } from 'undici'
import { sharedLookup } from './shared-lookups.js'

/**
 * How undici connects to an `https:` target: by its TLS settings. What undici would ask for by itself is a server name made of
 * `Host`, which a client may have chosen.
 * @param build of undici
 * @param timeout for the connection and TLS, in ms
 */
export function undiciConnector(
  build: typeof buildConnector,
  target: Target,
  timeout: number,
): buildConnector.connector {
  const { pin, verify = true } = target.tls ?? {}
  // undici keeps the session of a connection before the pins have been looked at, and a resumed one shows no certificate.
  const sessions = pin !== undefined && !verify ? { maxCachedSessions: 0 } : {}
  let made: SecuredOptions | undefined
  let connect: buildConnector.connector | undefined
  return (given, callback) => {
    const options = tlsOptions(target, ['http/1.1'])
    // One for each client certificate, for undici keeps sessions in it, and a session speaks for the one that it began with.
    if (connect === undefined || made?.secureContext !== options.secureContext) {
      made = options
      connect = build({
        ...options,
        ...sessions,
        timeout,
        allowHalfOpen: true,
        lookup: sharedLookup,
      } as buildConnector.BuildOptions)
    }
    // Without a host undici has nothing to make a name of where none is to be sent.
    connect({ ...given, host: '', servername: options.servername ?? '' }, (...[error, socket]) => {
      const fault = error === null ? pinFault(target, socket as TLSSocket) : undefined
      if (error !== null) callback(error, null)
      else if (fault === undefined) callback(null, socket)
      else {
        socket.destroy()
        callback(fault, null)
      }
    })
  }
}
