import { type HeaderList, isNamed } from '@sluice/headers'

/** Bounds of what a response may be tagged with. */
const mostTags = 1000
const longestTag = 1024

/**
 * Tags by which a response can be purged: of `Surrogate-Key`, divided by blanks, and `Cache-Tag`, divided by commas; each once.
 * @returns `undefined` where they are too many (over 1,000) or one is too long (over 1,024 characters): a purge by one that was
 * dropped would leave the response
 */
export function tagsOf(headers: Readonly<HeaderList>): readonly string[] | undefined {
  let tags: Set<string> | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const byBlanks = isNamed(name, 'surrogate-key')
    if (!byBlanks && !isNamed(name, 'cache-tag')) continue
    for (const part of (headers[i + 1] as string).split(byBlanks ? /\s+/ : ',')) {
      const tag = part.trim()
      if (tag === '') continue
      tags ??= new Set()
      tags.add(tag)
      if (tags.size > mostTags || tag.length > longestTag) return undefined
    }
  }
  return tags === undefined ? none : [...tags]
}

const none: readonly string[] = Object.freeze([])
