/** Names come as their senders write them: of a few hundred nearly all requests are made, and a client that makes names up can't fill more. */
const atMost = 1000

/** A name is a few words long. */
const longest = 64

/**
 * Remembers what a function says of field names, in whatever case they come: to fold a name's case costs more than to find it again.
 * @param judge of a name in lower case
 */
export function nameVerdicts(judge: (lower: string) => boolean): (name: string) => boolean {
  const known = new Map<string, boolean>()
  return (name) => {
    const verdict = known.get(name)
    if (verdict !== undefined) return verdict
    const judged = judge(name.toLowerCase())
    if (name.length > longest) return judged
    if (known.size >= atMost) known.clear()
    known.set(name, judged)
    return judged
  }
}
