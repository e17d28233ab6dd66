import type { Context } from './context.js'
import { Exchange } from './exchange.js'

/** Whether nobody waits for the answer any more. Costs no `AbortController`, which reading `signal` would. */
export function hasEnded(ctx: Context): boolean {
  return ctx instanceof Exchange ? ctx.outcome !== undefined : ctx.signal.aborted
}
