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

/** Whether a list such as that of Connection holds a token. Other blanks than these two, `trim`'s, are part of a member. */
export function hasToken(value: string, token: string): boolean {
  if (value.length === token.length) return value.toLowerCase() === token
  return value.split(',').some((member) => member.replace(/^[ \t]+|[ \t]+$/g, '').toLowerCase() === token)
}
