/** The members of several lists of names, each once, as one list. */
export function union(values: readonly string[]): string {
  const members = values.flatMap((value) => value.split(',')).map((member) => member.trim())
  const seen = new Map(
    members.filter((member) => member !== '').map((member) => [member.toLowerCase(), member]),
  )
  return [...seen.values()].join(', ')
}
