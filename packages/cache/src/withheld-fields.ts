import { type HeaderList, has } from '@sluice/headers'
import { responseDirectives } from './policy/response-directives.js'
import type { PolicyOptions, PolicyResponse } from './policy/types.js'

/** `private` or `no-cache` with names of fields: most answers have neither, and needn't be read once more. */
const named = /(?:private|no-cache)\s*=/i

/**
 * Fields of an answer that aren't stored with it, though it is: those that `private` and `no-cache` name, and cookies that aren't to be
 * kept. They are for the client that has asked, and go to it alone (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
 * @param kept the fields that are stored
 */
export function withheldFields(
  came: PolicyResponse,
  kept: Readonly<HeaderList>,
  options: PolicyOptions,
): HeaderList | undefined {
  const { headers, status } = came
  const names = new Set<string>()
  const add = (more: readonly string[]): void => {
    for (const name of more) names.add(name)
  }
  if (has(headers, 'set-cookie') && !has(kept, 'set-cookie')) names.add('set-cookie')
  if (headers.some((text) => named.test(text))) add(responseDirectives(came, options).withheld)
  // What a 304 doesn't say anew is as it was.
  if (status === 304 && kept.some((text) => named.test(text)))
    add(responseDirectives({ status, headers: kept }, options).withheld)
  if (names.size === 0) return undefined
  const withheld: HeaderList = []
  for (let i = 0; i < headers.length; i += 2)
    if (names.has((headers[i] as string).toLowerCase()))
      withheld.push(headers[i] as string, headers[i + 1] as string)
  return withheld
}
