import type { Reply } from '@sluice/core'
import { contentCodings, get, type HeaderList, has, parseCacheControl, varyNames } from '@sluice/headers'
import { saidLength } from './body-length.js'

/**
 * The value of `Use-As-Dictionary` (RFC 9842 section 2.1). The type is `raw`, as it is where nothing is said.
 * @param rule its texts are printable ASCII
 */
export function useAsDictionary(rule: {
  readonly match: string
  readonly matchDest?: readonly string[] | undefined
  readonly id?: string | undefined
}): string {
  let value = `match=${quoted(rule.match)}`
  if (rule.matchDest !== undefined && rule.matchDest.length > 0)
    value += `, match-dest=(${rule.matchDest.map(quoted).join(' ')})`
  if (rule.id !== undefined) value += `, id=${quoted(rule.id)}`
  return value
}

/** A string (RFC 9651 section 4.1.6). */
function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

/** Why a response is no dictionary. */
export type NoDictionary =
  | 'status'
  | 'coded'
  | 'private'
  | 'no-store'
  | 'set-cookie'
  | 'authorization'
  | 'varies'
  | 'no validator'
  | 'large'
  | 'no body'

/**
 * Bytes that one client got must not be shared by all: who knows a hash could ask whether somebody else had got them.
 * @param most bytes of the largest that is kept
 * @param authorized it was asked for by one user, as with `Authorization`
 */
export function whyNoDictionary(
  method: string,
  requested: HeaderList,
  reply: Reply,
  most: number,
  authorized = false,
): NoDictionary | undefined {
  const { body, headers, status } = reply
  // A part, an error's page, a redirection: nothing that has versions.
  if (status !== 200) return 'status'
  // The dictionary is what the client has after decoding; coded bytes are other ones.
  if (contentCodings(headers).length > 0) return 'coded'
  const control = parseCacheControl(headers)
  if (control.has('private')) return 'private'
  // The client can't keep it (RFC 9842 section 2.1).
  if (control.has('no-store')) return 'no-store'
  if (has(headers, 'set-cookie')) return 'set-cookie'
  // As a shared cache reads it (RFC 9111 section 3.5).
  if ((authorized || has(requested, 'authorization')) && !control.has('public')) return 'authorization'
  const names = varyNames(headers)
  if (names === '*' || names.includes('cookie') || names.includes('authorization')) return 'varies'
  // Versions can't be told apart, so each response would be kept and hashed anew.
  if (validatorOf(headers) === undefined) return 'no validator'
  // Here it would be dropped, and the client would name it in vain.
  if ((saidLength(method, reply) ?? 0) > most) return 'large'
  return body === null && method !== 'HEAD' ? 'no body' : undefined
}

/** What tells a version of a response from others. */
export function validatorOf(headers: HeaderList): string | undefined {
  return get(headers, 'etag') ?? get(headers, 'last-modified')
}
