import { getAll } from '@sluice/headers'

/**
 * The values that a request's cookies of a name have, in order (RFC 6265 section 5.4). HTTP/2 clients may send several `Cookie` fields.
 * @param headers name, value, name, value
 */
export function cookieValues(headers: readonly string[], name: string): string[] {
  return getAll(headers, 'cookie')
    .flatMap((field) => field.split(';'))
    .flatMap((pair) => {
      const at = pair.indexOf('=')
      return at > 0 && pair.slice(0, at).trim() === name ? [pair.slice(at + 1).trim()] : []
    })
}
