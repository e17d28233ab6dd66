import { channel } from 'node:diagnostics_channel'
import debug from 'debug'

/** What certificates do, for a person. */
export const log = debug('sluice:tls')

/** The same for programs. Messages have a `kind`: `'loaded'`, `'kept'`, `'failed'`, `'expiring'`, `'expired'`, `'ocsp'`. */
export const certificateChannel = channel('sluice:tls:certificate')
