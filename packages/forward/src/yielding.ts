/** What holds a connection of a full pool. */
export interface Holder {
  /** Its body is still being sent. */
  readonly uploads: boolean
  /** How long it has waited for its own client, who is slow, in ms; 0: it hasn't. */
  slowFor(now: number): number
}

/**
 * Which of `holders` have to go for those that wait, the longest wait first, and never more than are waited for. Whoever waits for its
 * own client only, and no target, can be missed.
 * @param places how many wait for a connection
 * @param bodies how many wait until there are fewer uploads
 */
export function yielding<T extends Holder>(
  holders: Iterable<T>,
  now: number,
  places: number,
  bodies: number,
): T[] {
  if (places <= 0 && bodies <= 0) return []
  const slow: { readonly holder: T; readonly waited: number }[] = []
  for (const holder of holders) {
    const waited = holder.slowFor(now)
    if (waited > 0) slow.push({ holder, waited })
  }
  slow.sort((a, b) => b.waited - a.waited)
  const chosen: T[] = []
  let left = places
  let leftOfBodies = bodies
  for (const { holder } of slow) {
    if (left > 0) left--
    else if (leftOfBodies > 0 && holder.uploads) leftOfBodies--
    else continue
    chosen.push(holder)
  }
  return chosen
}
