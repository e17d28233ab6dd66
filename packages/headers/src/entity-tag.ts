/** An entity tag (RFC 9110 section 8.8.3). */
export interface EntityTag {
  /** What stands between the quotes. */
  readonly tag: string
  readonly weak: boolean
}

const one = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/

/** Reads one entity tag. `undefined` for what is none: one without quotes, say. */
export function parseEntityTag(text: string): EntityTag | undefined {
  const found = one.exec(text)
  return found === null ? undefined : { tag: found[2] as string, weak: found[1] !== undefined }
}

/**
 * The members of a list of entity tags, the value of `If-None-Match` or `If-Match`, as they are written and without the blanks around
 * them. Commas are characters of a tag like others. What is no entity tag is a member too, up to the next comma.
 */
export function entityTagMembers(value: string): string[] {
  const members: string[] = []
  for (const [text] of value.matchAll(/[ \t]*(?:W\/)?"[^"]*"(?=[ \t]*(?:,|$))|[^,]+/g)) {
    const member = text.trim()
    if (member !== '') members.push(member)
  }
  return members
}

/**
 * Reads a list of entity tags, the value of `If-None-Match` or `If-Match`, several lines joined by commas. Members that are no entity tags
 * are left out.
 * @returns `'*'` where it is that
 */
export function parseEntityTags(value: string): readonly EntityTag[] | '*' {
  if (value.trim() === '*') return '*'
  const tags: EntityTag[] = []
  for (const member of entityTagMembers(value)) {
    const tag = parseEntityTag(member)
    if (tag !== undefined) tags.push(tag)
  }
  return tags
}

/** Whether two are the same and neither is weak (RFC 9110 section 8.8.3.2). */
export function strongMatch(a: EntityTag, b: EntityTag): boolean {
  return !a.weak && !b.weak && a.tag === b.tag
}

/** Whether two are the same, be they weak or not (RFC 9110 section 8.8.3.2). */
export function weakMatch(a: EntityTag, b: EntityTag): boolean {
  return a.tag === b.tag
}
