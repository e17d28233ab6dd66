import dns, { type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'

type Callback = Parameters<LookupFunction>[2]

/** Lookups that are under way, by what was asked, with those that wait for them. */
const underWay = new Map<string, Callback[]>()

/**
 * `dns.lookup`, where who asks the same meanwhile waits for the same answer. The system is asked on two of Node's four threads, and a name server that says
 * nothing holds one for ten seconds and more: connections to one such name, each with a lookup of its own, would keep the names of
 * all other targets from being looked up. Nothing is kept beyond the answer.
 */
export const sharedLookup: LookupFunction = (name, options, callback) => {
  const { all, family, hints } = options
  const asked = `${name} ${family} ${hints} ${all}`
  const waiting = underWay.get(asked)
  if (waiting !== undefined) {
    waiting.push(callback)
    return
  }
  const callbacks = [callback]
  underWay.set(asked, callbacks)
  const answer = (
    error: NodeJS.ErrnoException | null,
    found: string | LookupAddress[],
    of?: number,
  ): void => {
    underWay.delete(asked)
    // Of one list for all nobody may take something out.
    for (const each of callbacks) each(error, Array.isArray(found) ? [...found] : found, of)
  }
  try {
    // Looked for at each call: apps put lookups of their own there.
    dns.lookup(name, options, answer as never)
  } catch (error) {
    underWay.delete(asked)
    throw error
  }
}
