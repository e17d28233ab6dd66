import debug from 'debug'
import { isHardened } from './harden.js'

const log = debug('sluice:guard')
const told = new WeakSet<object>()

const message =
  "the limits of guard.server and guard.slow are off: they are the server's, and this one is the app's own; " +
  'call harden(server) of @sluice/guard'

/**
 * Says once of a server that its limits are off, since nobody has called `harden` with it.
 * @param server that a request has come by
 * @param explicit somebody has asked for these limits: then it is a warning (`SLUICE_UNHARDENED`), else a line of `DEBUG=sluice:guard`
 */
export function warnUnhardened(server: object, explicit: boolean): void {
  if (told.has(server) || isHardened(server)) return
  told.add(server)
  if (explicit) process.emitWarning(message, { type: 'SluiceWarning', code: 'SLUICE_UNHARDENED' })
  else if (log.enabled) log(message)
}
