import type { Context } from '@sluice/core'

/** Whoever asked has left, or has the answer. */
export function leaves(ctx: Context, fn: () => void): void {
  ctx.onClose(fn)
}
