/** Files that a purge means, or may mean, and that are still there. */
export interface StillThere {
  /** The first of them. */
  readonly path: string
  /** The code of what has kept that. */
  readonly code: string
  readonly count: number
}

/**
 * What a purge rejects with that couldn't drop all it meant.
 * @param folder whose files they are
 * @param stuck those that couldn't be removed
 * @param unread those that couldn't be read, nor removed
 */
export function purgeFailed(folder: string, stuck: StillThere | undefined, unread?: StillThere): Error {
  const parts = [
    stuck && `${what(stuck)} can't be removed, and after a restart would be served again`,
    unread && `${what(unread)} can't be read, and may be meant`,
  ].filter((part) => part !== undefined)
  const error = new Error(
    `not all is purged from ${folder}: ${parts.join('; ')}. Nothing of it is served by this process. Set the folder right and purge again, or remove what is named`,
  )
  return Object.assign(error, { code: (stuck ?? unread)?.code })
}

/** What a purge rejects with that comes when a store is closing, or that is overtaken by that. */
export function purgedTooLate(folder: string): Error {
  return new Error(`the store of ${folder} is closed: what was to be dropped may be served after a restart`)
}

function what({ path, code, count }: StillThere): string {
  return count === 1 ? `${path} (${code})` : `${count} files, the first ${path} (${code}),`
}
