/**
 * Members of a comma-separated list (RFC 9110 section 5.6.1), without the blanks around them. A comma in quotes belongs to its member. A quote
 * that is never closed is a character like others, so that it hides nothing. Takes time that grows with the length alone.
 * @param empty keep empty members too
 */
export function listMembers(value: string, empty = false): string[] {
  const members: string[] = []
  let quotes = value.includes('"')
  let from = 0
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code === 44) {
      add(members, value.slice(from, i), empty)
      from = i + 1
    } else if (code === 34 && quotes) {
      const end = endOfQuoted(value, i)
      // Where this one has no end, those after it have none either: each is escaped in the text behind this one.
      if (end === -1) quotes = false
      else i = end
    }
  }
  add(members, value.slice(from), empty)
  return members
}

function add(members: string[], text: string, empty: boolean): void {
  const member = text.trim()
  if (empty || member !== '') members.push(member)
}

/** Where the string that begins with the quote at `from` ends: the index of its last quote, or -1. */
function endOfQuoted(value: string, from: number): number {
  for (let i = from + 1; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code === 34) return i
    if (code === 92) i++
  }
  return -1
}
