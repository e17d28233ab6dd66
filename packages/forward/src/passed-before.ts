/**
 * Whether a member of this Via value was received by `pseudonym` (RFC 9110 section 7.6.3). Who is named in a comment has received
 * nothing. A comment that nobody closes is none: it would hide every member that later proxies write behind it.
 */
export function passedBefore(value: string, pseudonym: string): boolean {
  if (!value.includes(pseudonym)) return false
  const members = value.includes('(') ? withoutComments(value) : value
  return members.split(',').some((member) => member.trim().split(/\s+/)[1] === pseudonym)
}

/** Comments may hold others, and escaped characters (RFC 9110 section 5.6.5). */
function withoutComments(value: string): string {
  let text = ''
  let depth = 0
  let from = 0
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code === 40) {
      if (depth++ === 0) text += value.slice(from, i)
    } else if (depth > 0 && code === 92) i++
    else if (depth > 0 && code === 41 && --depth === 0) {
      text += ' '
      from = i + 1
    }
  }
  return depth === 0 ? text + value.slice(from) : value
}
