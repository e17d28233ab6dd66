import type { HeaderList } from '@sluice/headers'

/**
 * The fields of an answer without the cookies that a layer inside has set for one client, as sticky sessions do. The list itself, where it
 * has none of them.
 * @param names of cookies; their case counts
 */
export function withoutCookies(headers: HeaderList, names: readonly string[]): HeaderList {
  if (names.length === 0) return headers
  let kept: HeaderList | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const mine = isOneOf(headers[i] as string, headers[i + 1] as string, names)
    if (mine) kept ??= headers.slice(0, i)
    else kept?.push(headers[i] as string, headers[i + 1] as string)
  }
  return kept ?? headers
}

function isOneOf(field: string, value: string, names: readonly string[]): boolean {
  if (field.length !== 10 || field.toLowerCase() !== 'set-cookie') return false
  const equals = value.indexOf('=')
  return equals !== -1 && names.includes(value.slice(0, equals).trim())
}
