import { get, type HeaderList, has, parseEntityTag } from '@sluice/headers'
import type { PolicyResponse } from './types.js'

/** Conditions to add to the request that validates a stored response (RFC 9111 section 4.3.1): both, where it has both. */
export function validators({ headers }: PolicyResponse): HeaderList {
  const found: HeaderList = []
  const etag = get(headers, 'etag')
  if (etag !== undefined && etag !== '') found.push('If-None-Match', etag)
  const modified = get(headers, 'last-modified')
  if (modified !== undefined && modified !== '') found.push('If-Modified-Since', modified)
  return found
}

/**
 * Fields that tell of the stored body, which stays: an update that brought others would tell of another one (RFC 9111 section 3.2).
 * `Content-Type` isn't among them: it may be said better.
 */
const ofBody = new Set([
  'content-digest',
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'digest',
  'etag',
  'repr-digest',
])

/**
 * The fields of a stored response, updated from a 304 or the answer to a HEAD (RFC 9111 section 3.2): a field that came takes the place of
 * all of its name. Makes a new list.
 *
 * Whatever the fields say together now counts for the stored response: what comes out goes through `storable` and `storedFields` once more,
 * so that a 304 with `no-store`, or with a field that is withheld, is heard. Where the answer has no `Date` the old one goes, and age
 * counts from when the answer came.
 * @param update as it came
 */
export function freshen(stored: Readonly<HeaderList>, update: Readonly<HeaderList>): HeaderList {
  const named = new Set<string>()
  for (let i = 0; i < update.length; i += 2) {
    const name = (update[i] as string).toLowerCase()
    if (!ofBody.has(name)) named.add(name)
  }
  // The old one would say that what was just validated is as old as ever.
  named.add('date')
  const fields: HeaderList = []
  for (let i = 0; i < stored.length; i += 2)
    if (!named.has((stored[i] as string).toLowerCase()))
      fields.push(stored[i] as string, stored[i + 1] as string)
  for (let i = 0; i < update.length; i += 2)
    if (named.has((update[i] as string).toLowerCase()))
      fields.push(update[i] as string, update[i + 1] as string)
  return fields
}

/**
 * Whether a 304 speaks of this stored response (RFC 9111 section 4.3.4). One with a strong entity tag speaks of the response with that
 * alone, one with weak validators of the one that has them too, and one with none of what was asked about.
 */
export function matchesValidator(stored: PolicyResponse, answer: PolicyResponse): boolean {
  const etag = get(answer.headers, 'etag')
  const held = get(stored.headers, 'etag')
  if (etag !== undefined) {
    const said = parseEntityTag(etag)
    const ours = held === undefined ? undefined : parseEntityTag(held)
    if (said === undefined || ours === undefined) return etag === held
    return said.tag === ours.tag && (said.weak || !ours.weak)
  }
  const modified = get(answer.headers, 'last-modified')
  const known = get(stored.headers, 'last-modified')
  // What we asked about was the entity tag, where there is no date to compare.
  return modified === undefined || modified === known || (known === undefined && held !== undefined)
}

/**
 * What the answer to a HEAD does to the stored answer to a GET (RFC 9111 section 4.3.5). `update`: {@link freshen} it. `invalidate`: it is
 * another one by now. `undefined`: nothing, since it isn't 200.
 */
export function headUpdates(
  stored: PolicyResponse,
  head: PolicyResponse,
): 'update' | 'invalidate' | undefined {
  if (head.status !== 200) return undefined
  if (stored.status !== 200 && stored.status !== 206) return 'invalidate'
  for (const name of ['etag', 'last-modified', 'content-encoding'])
    if (has(head.headers, name) && get(head.headers, name) !== get(stored.headers, name)) return 'invalidate'
  const length = get(head.headers, 'content-length')
  const held = stored.status === 200 ? get(stored.headers, 'content-length') : undefined
  return length !== undefined && held !== undefined && length !== held ? 'invalidate' : 'update'
}
