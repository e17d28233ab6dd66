import debug from 'debug'
import type { Context } from './context.js'
import type { ProxyError } from './proxy-error.js'

const log = debug('sluice:core')
const warned = new Set<string>()

/** An error of the app's own code is told once on stderr, every error where `debug` is on. */
export function report(error: ProxyError, ctx: Context): void {
  if (log.enabled)
    log('%s %s: %s (%s)', ctx.out.method, ctx.out.path, error.message, nameOf(error), error.cause ?? '')
  if ((error.code !== 'proxy_internal_error' && error.code !== 'body_consumed') || warned.has(error.message))
    return
  if (warned.size < 100) {
    warned.add(error.message)
    const detail = error.cause instanceof Error ? error.cause.stack : undefined
    process.emitWarning(error.message, {
      type: 'SluiceWarning',
      code: error.code,
      ...(detail === undefined ? {} : { detail }),
    })
  }
}

/** The code, with the rule that refused the request where one did. */
function nameOf({ code, reason }: ProxyError): string {
  return reason === undefined ? code : `${code} ${reason}`
}
