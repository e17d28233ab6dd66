import type { HeaderList } from '@sluice/headers'

/** Whether a head names a protocol to change to. */
export function upgrades(headers: HeaderList): boolean {
  let connection = false
  let upgrade = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase()
    if (name === 'upgrade') upgrade = headers[i + 1] !== ''
    else if (name === 'connection') connection ||= hasToken(headers[i + 1] as string, 'upgrade')
  }
  return connection && upgrade
}

/** Whether a list such as that of Connection holds a token. Takes time that grows with the list's length alone. */
export function hasToken(value: string, token: string): boolean {
  if (value.length === token.length) return value.toLowerCase() === token
  return value.split(',').some((member) => withoutBlanks(member).toLowerCase() === token)
}

/**
 * Other blanks than these two, `trim`'s, are part of a member. And an expression that looks for those at the end looks from each blank on: one
 * field of a hostile target, with some ten thousand inside of a member, would hold up the whole process for seconds.
 */
function withoutBlanks(member: string): string {
  let start = 0
  let end = member.length
  while (start < end && isBlank(member.charCodeAt(start))) start++
  while (end > start && isBlank(member.charCodeAt(end - 1))) end--
  return member.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
