import type { HeaderList } from './header-list.js'

/** More hops than any chain has; what is beyond is brought down to it (RFC 9110 section 7.6.2). */
const most = 2_147_483_647

/**
 * How many more times a request may be forwarded, by its `Max-Forwards` (RFC 9110 section 7.6.2). `undefined` where the field isn't
 * there or is junk: no number, or on more than one line. Such a value has no meaning, and so none is made of it.
 */
export function maxForwards(headers: readonly string[]): number | undefined {
  let found: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length !== 12 || name.toLowerCase() !== 'max-forwards') continue
    if (found !== undefined) return undefined
    found = headers[i + 1]
  }
  return found !== undefined && /^\d+$/.test(found) ? Math.min(Number(found), most) : undefined
}

/** Writes how many more times it may be forwarded, in the place and the case in which the field stands. Edits `list`. */
export function setMaxForwards(list: HeaderList, left: number): void {
  for (let i = 0; i < list.length; i += 2)
    if ((list[i] as string).toLowerCase() === 'max-forwards') list[i + 1] = String(left)
}
