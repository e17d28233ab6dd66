import type { Context } from '@sluice/core'

/** What a layer further out has said that targets are to hear in place of the client's addresses; `''`: nothing. */
export function clientNameOf(ctx: Context): string | undefined {
  const { clientName } = ctx as { clientName?: unknown }
  return typeof clientName === 'string' ? clientName : undefined
}
