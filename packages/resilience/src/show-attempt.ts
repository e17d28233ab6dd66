import type { Context } from '@sluice/core'

/** What the layers further in have added to an attempt is seen outside, as without forks: a log asks for the target. */
export function showAttempt(ctx: Context, attempt: Context | undefined): void {
  const { out } = ctx
  Object.assign(ctx, attempt, { out })
}
