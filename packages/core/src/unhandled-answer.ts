import type { Context } from './context.js'
import { Exchange } from './exchange.js'
import { type Reply, unhandled } from './reply.js'

/**
 * For a layer that has something to tell with each answer, and is given `unhandled`: whether that becomes an answer of ours only the mount
 * knows. Where nobody else follows it makes one, a page for 404, and each layer edits it then, from the innermost on.
 * @returns `unhandled`
 */
export function editUnhandled(ctx: Context, edit: (reply: Reply) => Reply): Reply {
  if (ctx instanceof Exchange) {
    ctx.unhandledEdits ??= []
    ctx.unhandledEdits.push(edit)
  }
  return unhandled
}

/** What a mount answers for `unhandled` where nobody else follows. */
export async function unhandledAnswer({ unhandledEdits = [], unhandledPage }: Exchange): Promise<Reply> {
  const page = unhandledPage === undefined ? { ...unhandled } : await unhandledPage()
  return unhandledEdits.reduce((reply, edit) => edit(reply), page)
}
