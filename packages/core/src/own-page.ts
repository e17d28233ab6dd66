import type { Reply } from './reply.js'

const pages = new WeakSet<Reply>()

/** Notes that a reply is a page of the proxy's own, made for an error or in place of a reply. */
export function asOwnPage(reply: Reply): Reply {
  pages.add(reply)
  return reply
}

/**
 * Whether a reply is a page that `errorPages` has made, or an answer that `onError` has given: what layers further out that replace what
 * targets say of errors leave as it is. A copy of one is none.
 */
export function isOwnPage(reply: Reply): boolean {
  return pages.has(reply)
}
