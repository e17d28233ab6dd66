/** Ways to write a slash, a colon and an at sign: as they are, escaped for JSON and CSS, for a URL (several times over), and for HTML. */
const slash = String.raw`(?:\\{0,3}\/|%(?:25){0,3}2f|&#x0{0,4}2f;|&#0{0,4}47;|&sol;|\\u002f)`
const colon = String.raw`(?:\\{0,3}:|%(?:25){0,3}3a|&#x0{0,4}3a;|&#0{0,4}58;|&colon;|\\u003a)`
const at = String.raw`(?:@|%(?:25){0,3}40|&#x0{0,4}40;|&#0{0,4}64;|&commat;|\\u0040)`
/** What may become one of those. */
const escape = String.raw`(?:\\{1,3}(?:u0{0,2}[\da-f]{0,2})?|%[\da-f]{0,8}|&#?\w{0,8})`
const scheme = '(?:https?|wss?)'
const codedColon = '%(?:25){0,3}3a'
const codedBegin = '%(?:25){0,3}5b'
const codedEnd = '%(?:25){0,3}5d'
const host = String.raw`[a-z\d][a-z\d_.-]{0,252}|\[[\da-f:.]{2,45}\]|${codedBegin}(?:[\da-f.]|${codedColon}){2,45}${codedEnd}`

/** A character of userinfo (RFC 3986 section 3.2.1), one by one: taken whole, escapes of escapes could be read in many ways. None begins an escape of what ends an authority. */
const userCharacter = String.raw`(?:[\w.~!$*+;=:@-]|%(?!(?:25){0,3}(?:2[0237f]|3[cef]|5c)))`
const longestUser = 128

const begin = String.raw`(${slash})\1`
const named = String.raw`(${host})(?:(${colon})(\d{1,5})(?!\d))?`
const start = new RegExp(`${begin}(?:${userCharacter}{1,${longestUser}}${at})?${named}`, 'gi')
const startWithoutUser = new RegExp(begin + named, 'iy')

/** Two slashes and what follows them up to the end of an authority: the slash, the name behind userinfo, the colon, the port. */
export function urlStart(): RegExp {
  return start
}

/** The same at this place, where what looked like userinfo is the name. */
export function urlStartWithoutUser(text: string, from: number): RegExpExecArray | null {
  startWithoutUser.lastIndex = from
  return startWithoutUser.exec(text)
}

/** What a scheme may be made of (RFC 3986 section 3.1): one that follows such a character begins before it. */
const inWord = String.raw`[\w+.-]`
/** One of those that begins neither a URL nor what may become one. */
export const wordCharacter = '-'
const wordEnd = new RegExp(inWord)

/** Whether what follows the first `end` characters of `text` may be more of a word. */
export function endsInWord(text: string, end: number): boolean {
  return wordEnd.test(text.charAt(end - 1))
}

const before = new RegExp(`(?<!${inWord})(${scheme})(${colon})$`, 'i')
const longestBefore = 24

/** The scheme right before two slashes at `at` that begins at `from` or later. */
export function schemeBefore(
  text: string,
  at: number,
  from: number,
): { readonly scheme: string; readonly colon: string; readonly start: number } | undefined {
  const match = before.exec(text.slice(Math.max(0, at - longestBefore), at))
  if (match === null) return undefined
  const start = at - match[0].length
  if (start < from) return undefined
  return { scheme: (match[1] as string).toLowerCase(), colon: match[2] as string, start }
}

/** Characters that an address in brackets may take, coded for a URL or not. */
export const longestAddress = 150

/** An address as {@link urlStart} finds it: with the brackets and colons that it stands for. */
export function uncoded(name: string): string {
  if (!name.startsWith('%')) return name
  return name.replace(/%(?:25){0,3}(3a|5b|5d)/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
}

/**
 * What may be a name by itself, or several with colons between, or an address in brackets with its port; and, so that no name begins within one,
 * escapes of anything else.
 */
export const bareNames = new RegExp(
  String.raw`(?:\[[\da-f:.]{2,45}\]|${codedBegin}(?:[\da-f.]|${codedColon}){2,45}${codedEnd})(?:${colon}\d{1,5})?|(?:[\w.-]|${colon}){3,}|%(?:25){0,3}[\da-f]{2}|\\u[\da-f]{4}`,
  'gi',
)

/** Each colon, however it is written. */
export const colons = new RegExp(colon, 'gi')

/** A name as {@link bareNames} finds it, with the brackets and colons that it stands for. */
export function plainName(name: string): string {
  return uncoded(name).replace(colons, ':')
}

/** How a name's first colon is written. */
export function colonIn(name: string): string {
  return name.match(colons)?.[0] ?? ':'
}

const codedAddress = String.raw`${codedBegin}(?:[\da-f.]|${codedColon})*(?:${codedEnd})?`
const authority = String.raw`(?:([a-z\d_.-]*|\[[\da-f:.]*\]?|${codedAddress})(?:${escape}|${colon}\d{0,5})?)`
const mayBeUser = `${userCharacter}{0,${longestUser}}${escape}?`
const behindSlashes = `(?:${mayBeUser}$|(?:${userCharacter}{1,${longestUser}}${at})?${authority})`
const slashes = `(?:${escape}|${slash}(?:${escape}|${slash}${behindSlashes})?)`
const unfinished = new RegExp(
  `(?:(?<!${inWord})(?:h|ht|htt|w|${scheme}(?:${escape}|${colon}(?:${slashes})?)?)|${slashes})$`,
  'i',
)
/** Of what stands ahead of a name and behind it, and of userinfo. */
const longestForms = 64 + longestUser

/** What hosts are looked for. */
export interface Names {
  /** Characters of the longest. */
  readonly longest: number
  /** Whether one begins so. */
  mayBegin(text: string): boolean
}

/** Where in `text` a URL begins that more text may make one of these hosts'; the length of the text if there is none. */
export function unfinishedUrl(text: string, names: Names): number {
  let from = Math.max(0, text.length - names.longest - longestForms)
  for (;;) {
    const match = unfinished.exec(text.slice(from))
    if (match === null) return text.length
    const name = match[1]
    if (name === undefined || names.mayBegin(name)) return from + match.index
    from += match.index + 1
  }
}
