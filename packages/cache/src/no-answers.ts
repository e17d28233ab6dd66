import type { Reply } from '@sluice/core'

const known = new WeakSet<Reply>()

/** Makes a reply known as one that is no answer: `unhandled`, which tells the mount to look elsewhere. Whoever knows of such replies tells. */
export function noAnswer(reply: Reply): void {
  known.add(reply)
}

/** Whether a reply is passed on as it is, and never looked at: it is no answer, or an upgraded connection. */
export function passesAsItIs(reply: Reply): boolean {
  return reply.socket !== undefined || known.has(reply)
}
