import { readdirSync, readlinkSync } from 'node:fs'
import { patience, until } from './until.js'

/** Tells whether what was opened since has been closed again. */
export interface LeakCheck {
  /**
   * Waits until no more is open than at the beginning; idle connections of pools take some seconds. Fails with a list of
   * what is too much.
   */
  settled(ms?: number): Promise<void>
}

/** Kinds of handles that stand for connections, servers and what is under way on them. */
const kinds = /^(TCP|TLS|Pipe|HTTP2?|Http2|GetAddrInfo|Write|Shutdown|Connect)/i

/**
 * Remembers what this process has open now: handles by kind, and on Linux socket descriptors too, since handles that don't
 * hold the process open (those of idle pools) aren't among the handles that Node tells of.
 */
export function leakCheck(): LeakCheck {
  const before = count()
  return {
    async settled(ms = patience) {
      let excess: string[] = []
      await until(
        () => {
          excess = more(before, count())
          return excess.length === 0
        },
        () => `everything to be closed; left over: ${excess.join(', ')}`,
        ms,
      )
    },
  }
}

function count(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (kinds.test(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  const sockets = socketDescriptors()
  if (sockets !== undefined) counts.set('socket descriptors', sockets)
  return counts
}

function more(before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): string[] {
  return [...now]
    .map(([kind, open]) => [kind, open - (before.get(kind) ?? 0)] as const)
    .filter(([, excess]) => excess > 0)
    .map(([kind, excess]) => `${excess} ${kind}`)
}

/** Sockets of this process; undefined where the system has no list of them. */
function socketDescriptors(): number | undefined {
  let names: string[]
  try {
    names = readdirSync('/proc/self/fd')
  } catch {
    return undefined
  }
  return names.filter((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).startsWith('socket:')
    } catch {
      // The descriptor of the listing itself has gone by now.
      return false
    }
  }).length
}
