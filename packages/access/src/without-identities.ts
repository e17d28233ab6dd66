import type { Middleware } from '@sluice/core'
import { identityFields } from './identity-fields.js'

/**
 * Removes fields from requests, behind their bodies too, however they are spelt: those in which layers further in tell targets who asks. A route
 * without such a layer would let clients write them, and its target may be that of another route, which believes them.
 * @param names in any case
 */
export function withoutIdentities(names: readonly string[]): Middleware {
  const fields = identityFields(names)
  return (next) => (ctx) => {
    fields.clear(ctx)
    return next(ctx)
  }
}
