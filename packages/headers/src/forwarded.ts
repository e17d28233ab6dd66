import { isIP } from 'node:net'
import { cleanAddress } from './forwarded-for.js'

/** Who stands at one end of a hop, as `for` and `by` say it (RFC 7239 section 6). */
export interface ForwardedNode {
  /** An IP address in plain form, without brackets and zone; `unknown`; or an obfuscated identifier such as `_gazonk`. */
  readonly name: string
  /** A number, or an obfuscated one such as `_p1`. */
  readonly port?: number | string
}

/** What one proxy has said of one hop. */
export interface ForwardedElement {
  readonly for?: ForwardedNode
  readonly by?: ForwardedNode
  /** As it was written: whether it is an authority is for the reader to judge. */
  readonly host?: string
  /** As it was written. */
  readonly proto?: string
  /** Other parameters, flat: name in lower case, value, name, value. */
  readonly extensions?: readonly string[]
}

/** Who called, and what of `Forwarded` can be believed of it. */
export interface ForwardedWalk {
  readonly address: string
  /** Believed addresses: the client's first, then each trusted proxy but the peer. */
  readonly believed: string[]
  /** Elements that trusted proxies wrote, the client's first. That one may name it `unknown` or by an obfuscated identifier. */
  readonly elements: ForwardedElement[]
}

/**
 * The elements of a `Forwarded` field, by the letter of RFC 7239 section 4: no blanks around `=` and `;`, a colon or a bracket
 * only in quotes, no parameter twice in an element. `undefined` if anything of it is wrong. Empty members of the list are
 * left out (RFC 9110 section 5.6.1).
 * @param value every line, joined by commas
 */
export function parseForwarded(value: string): ForwardedElement[] | undefined {
  const elements: ForwardedElement[] = []
  for (let end = value.length; end >= 0; ) {
    const start = startOfElement(value, end)
    if (start === -1) return undefined
    const text = trim(value, start, end)
    end = start - 1
    if (text === '') continue
    const element = parseElement(text)
    if (element === undefined) return undefined
    elements.push(element)
  }
  return elements.reverse()
}

/**
 * Walks `Forwarded` from the right. An element is believed if the one who wrote it, the peer first, is trusted; the first
 * that names no trusted proxy is the client. One that is `unknown`, obfuscated or silent of `for` is believed and ends the
 * walk: who stands before it can't be told, so the last address that is known is the client. One that is empty or malformed
 * ends it too, and nothing of it is believed. What stands further left isn't looked at, so it can neither move the result nor
 * cost anything.
 * @param value every line, joined by commas
 * @param limit elements looked at, at most
 */
export function walkForwarded(
  value: string,
  peer: string,
  trusted: (address: string) => boolean,
  limit = 10_000,
): ForwardedWalk {
  let address = peer
  const believed: string[] = []
  const elements: ForwardedElement[] = []
  let end = value.length
  for (let seen = 0; seen < limit && end >= 0 && trusted(address); seen++) {
    const start = startOfElement(value, end)
    if (start === -1) break
    const element = parseElement(trim(value, start, end))
    end = start - 1
    if (element === undefined) break
    elements.push(element)
    const name = element.for?.name
    if (name === undefined || name === 'unknown' || name[0] === '_') break
    believed.push(name)
    address = name
  }
  return { address, believed: believed.reverse(), elements: elements.reverse() }
}

/**
 * One element as text, quoted where it has to be (RFC 7239 section 4); an IPv6 address in brackets.
 * @throws TypeError for what no field can hold: a parameter that is no token, a control character, text beyond Latin-1
 */
export function formatForwarded(element: ForwardedElement): string {
  const { host, proto, extensions } = element
  let text = ''
  if (element.for !== undefined) text = pair(text, 'for', formatNode(element.for))
  if (element.by !== undefined) text = pair(text, 'by', formatNode(element.by))
  if (host !== undefined) text = pair(text, 'host', host)
  if (proto !== undefined) text = pair(text, 'proto', proto)
  if (extensions === undefined) return text
  for (let i = 0; i < extensions.length; i += 2)
    text = pair(text, extensions[i] as string, extensions[i + 1] as string)
  return text
}

const token = /^[!#$%&'*+.^`|~\w-]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to refuse
const unquotable = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/

function pair(before: string, name: string, value: string): string {
  if (!token.test(name)) throw new TypeError(`Forwarded: ${JSON.stringify(name)} is no name of a parameter`)
  if (unquotable.test(value)) throw new TypeError(`Forwarded: ${name} can't hold ${JSON.stringify(value)}`)
  const text = token.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`
  return before === '' ? `${name}=${text}` : `${before};${name}=${text}`
}

function formatNode({ name, port }: ForwardedNode): string {
  const node = name.includes(':') ? `[${name}]` : name
  return port === undefined ? node : `${node}:${port}`
}

/**
 * Where the element that ends before `end` begins, found from the right: a proxy writes its element behind what it got, so what a
 * client wrote, an open quote for instance, has no say in where the elements of trusted proxies begin. `-1` if a quoted
 * string has no beginning.
 */
function startOfElement(value: string, end: number): number {
  for (let i = end - 1; i >= 0; i--) {
    const code = value.charCodeAt(i)
    if (code === 44) return i + 1
    if (code !== 34) continue
    i = openingQuote(value, i)
    if (i === -1) return -1
  }
  return 0
}

/** The quote that opens the string which the one at `close` closes: the next to the left that isn't escaped. */
function openingQuote(value: string, close: number): number {
  for (let at = close; at > 0; ) {
    at = value.lastIndexOf('"', at - 1)
    if (at === -1) return -1
    let escapes = 0
    while (value.charCodeAt(at - 1 - escapes) === 92) escapes++
    if (escapes % 2 === 0) return at
  }
  return -1
}

/** Without blanks and tabs at its ends: `trim()` would take more than RFC 9110 section 5.6.3 calls white space. */
function trim(value: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(value.charCodeAt(start))) start++
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--
  return value.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}

interface Draft {
  for?: ForwardedNode
  by?: ForwardedNode
  host?: string
  proto?: string
  extensions?: string[]
}

const nameThenEquals = /([!#$%&'*+.^`|~\w-]+)=/y
const plainValue = /[!#$%&'*+.^`|~\w-]+/y
const quotedValue = /"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"/y

/** An element with no blanks at its ends; `undefined` for an empty one. */
function parseElement(text: string): ForwardedElement | undefined {
  const draft: Draft = {}
  const names = new Set<string>()
  let at = 0
  for (;;) {
    // A pair may be left out between two semicolons.
    if (at < text.length && text.charCodeAt(at) !== 59) {
      const name = match(nameThenEquals, text, at)
      if (name === undefined) return undefined
      at += name.length
      const quoted = text.charCodeAt(at) === 34
      const value = match(quoted ? quotedValue : plainValue, text, at)
      if (value === undefined) return undefined
      at += value.length
      const lower = name.slice(0, -1).toLowerCase()
      if (names.has(lower)) return undefined
      names.add(lower)
      const plain = quoted ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
      if (!take(draft, lower, plain)) return undefined
    }
    if (at === text.length) return names.size === 0 ? undefined : draft
    if (text.charCodeAt(at++) !== 59) return undefined
  }
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

/** @returns whether the value can be one of this parameter */
function take(draft: Draft, name: string, value: string): boolean {
  switch (name) {
    case 'for':
    case 'by': {
      const node = parseNode(value)
      if (node !== undefined) draft[name] = node
      return node !== undefined
    }
    case 'host':
    case 'proto':
      draft[name] = value
      return true
  }
  if (draft.extensions === undefined) draft.extensions = [name, value]
  else draft.extensions.push(name, value)
  return true
}

/** RFC 7239 section 6. The zone of an IPv6 address, which means nothing elsewhere, is left out. */
function parseNode(text: string): ForwardedNode | undefined {
  const found = /^(\[[^\]]+\]|[^:[\]]+)(?::(?:(\d{1,5})|(_[\w.-]+)))?$/.exec(text)
  if (found === null) return undefined
  const name = nodeName(found[1] as string)
  if (name === undefined) return undefined
  if (found[3] !== undefined) return { name, port: found[3] }
  if (found[2] === undefined) return { name }
  const port = Number(found[2])
  return port > 65_535 ? undefined : { name, port }
}

function nodeName(text: string): string | undefined {
  if (text[0] === '_') return /^_[\w.-]+$/.test(text) ? text : undefined
  if (text.toLowerCase() === 'unknown') return 'unknown'
  // Here an IPv4 address has no brackets, and an IPv6 address has to have them.
  if (text[0] !== '[') return isIP(text) === 4 ? text : undefined
  const plain = text.slice(1, -1)
  return isIP(plain) === 6 ? cleanAddress(plain) : undefined
}
