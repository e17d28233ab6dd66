import { getAll, type HeaderList } from '@sluice/headers'
import type { RewritableBody } from './anonymity-options.js'

const types: Record<RewritableBody, RegExp> = {
  html: /^\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i,
  css: /^\s*text\/css\s*(?:;|$)/i,
  json: /^\s*(?:application\/(?:json|x-ndjson|[\w.+-]+\+json)|text\/json)\s*(?:;|$)/i,
}

/** Whether an answer says that its body is of one of these kinds. */
export function isOfKind(headers: HeaderList, kinds: readonly RewritableBody[]): boolean {
  const said = getAll(headers, 'content-type')
  return said.length > 0 && kinds.some((kind) => said.some((type) => types[kind].test(type)))
}

/** Why a body of such a kind stays as it is. */
export function whyNotRewritten(headers: HeaderList): 'no-transform' | 'coded' | undefined {
  // RFC 9110 section 7.7: a proxy must not.
  if (getAll(headers, 'cache-control').some((value) => /(?:^|,)\s*no-transform\s*(?:[,=]|$)/i.test(value)))
    return 'no-transform'
  // Coded bytes are no text. Targets weren't asked for any.
  if (getAll(headers, 'content-encoding').some((value) => !/^\s*(?:identity\s*)?$/i.test(value)))
    return 'coded'
  return undefined
}

/** Fields that tell of the bytes as the target sent them (RFC 9110 sections 8.6 and 14.3, RFC 9530, RFC 3230, RFC 1864). */
const ofBytes: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-digest',
  'content-length',
  'content-md5',
  'digest',
  'repr-digest',
])

/**
 * Takes away, in place, what told of other bytes. A strong `ETag` becomes weak (RFC 9110 section 8.8.3): the page is the same, its bytes
 * aren't.
 */
export function ofOtherBytes(headers: HeaderList): void {
  let to = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    const lower = name.toLowerCase()
    if (ofBytes.has(lower)) continue
    headers[to++] = name
    headers[to++] = lower === 'etag' && value.startsWith('"') ? `W/${value}` : value
  }
  headers.length = to
}

/** Whether an answer holds parts of a body, each with a type of its own (RFC 9110 section 14.6). */
export function isOfParts(headers: HeaderList): boolean {
  return getAll(headers, 'content-type').some((type) => /^\s*multipart\/byteranges\s*(?:;|$)/i.test(type))
}

/**
 * Edits, in place, what a client asks for, so that what comes can be rewritten: no coding, no more ranges than one, since several come in a
 * type that doesn't tell of what they are parts (RFC 9110 section 14.2 lets a server ignore them), and in `If-Match` the tags that the target
 * knows, since a weak one never matches there (section 13.1.1).
 */
export function askForText(headers: HeaderList): void {
  let to = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    const lower = name.toLowerCase()
    if (lower === 'accept-encoding' || (lower === 'range' && value.includes(','))) continue
    headers[to++] = name
    headers[to++] = lower === 'if-match' ? value.replaceAll('W/"', '"') : value
  }
  headers.length = to
}
