/**
 * What a purge rejects with that couldn't drop all that it meant.
 * @param folder whose files they are
 * @param faults what has kept each of them
 */
export function purgeFailed(folder: string, faults: readonly Error[]): Error {
  const [first] = faults
  const what = `${faults.length === 1 ? 'a file' : `${faults.length} files`} of ${folder}`
  return new Error(
    `what was purged is still in ${what}, and a restart would find it: ${first?.message}. Purge again once they can be written`,
    { cause: first },
  )
}
