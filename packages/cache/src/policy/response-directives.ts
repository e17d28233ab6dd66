import {
  type Directives,
  parseCacheControl,
  parseDeltaSeconds,
  parseFieldNames,
  parseTargetedCacheControl,
} from '@sluice/headers'
import type { PolicyOptions, PolicyResponse } from './types.js'

/** What a response says to this cache (RFC 9111 section 5.2.2, RFC 5861, RFC 8246). Times in seconds. */
export interface ResponseDirectives {
  /** A targeted field speaks: `Cache-Control` and `Expires` are as if they weren't there (RFC 9213 section 2.2). */
  readonly targeted: boolean
  readonly noStore: boolean
  /** To be validated before each use. */
  readonly noCache: boolean
  /** For one client alone. */
  readonly private: boolean
  /** Fields of `private` and `no-cache` with names: not to be kept. In lower case. */
  readonly withheld: readonly string[]
  readonly public: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly immutable: boolean
  /** 0 where it is there and no number: what can't be read is stale (RFC 9111 section 4.2.1). */
  readonly sMaxAge: number | undefined
  /** 0 where it is there and no number. */
  readonly maxAge: number | undefined
  readonly staleWhileRevalidate: number | undefined
  readonly staleIfError: number | undefined
}

const nothing: readonly string[] = Object.freeze([])

/** Without these fields a response would be another one. Named by `private` or `no-cache` they stand for the whole response. */
const essential = new Set([
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'etag',
  'expires',
  'last-modified',
  'location',
  'vary',
])

/** What was said last, by the line that said it: the responses of a site say few things. */
const remembered = new Map<string, ResponseDirectives>()
const mostRemembered = 256
const longestRemembered = 256

const silent = directivesOf(new Map(), false)

/** What a response says to this cache: the first targeted field that can be read, else `Cache-Control`. Frozen, and may be shared. */
export function responseDirectives(response: PolicyResponse, options: PolicyOptions): ResponseDirectives {
  const { headers } = response
  for (const name of options.targeted) {
    const found = parseTargetedCacheControl(headers, name)
    if (found !== undefined) return directivesOf(found, true)
  }
  let line: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length !== 13 || name.toLowerCase() !== 'cache-control') continue
    if (line !== undefined) return directivesOf(parseCacheControl(headers), false)
    line = headers[i + 1] as string
  }
  if (line === undefined) return silent
  const before = remembered.get(line)
  if (before !== undefined) return before
  const said = directivesOf(parseCacheControl(['cache-control', line]), false)
  if (line.length <= longestRemembered) {
    if (remembered.size >= mostRemembered) remembered.clear()
    remembered.set(line, said)
  }
  return said
}

function directivesOf(found: Directives, targeted: boolean): ResponseDirectives {
  const ofPrivate = fieldsOf(found.get('private'))
  const ofNoCache = fieldsOf(found.get('no-cache'))
  return Object.freeze({
    targeted,
    noStore: found.has('no-store'),
    noCache: ofNoCache === 'all',
    private: ofPrivate === 'all',
    withheld: withheldBy(ofPrivate, ofNoCache),
    public: found.has('public'),
    mustRevalidate: found.has('must-revalidate'),
    proxyRevalidate: found.has('proxy-revalidate'),
    mustUnderstand: found.has('must-understand'),
    immutable: found.has('immutable'),
    sMaxAge: lifetimeOf(found, 's-maxage'),
    maxAge: lifetimeOf(found, 'max-age'),
    staleWhileRevalidate: parseDeltaSeconds(found.get('stale-while-revalidate')),
    staleIfError: parseDeltaSeconds(found.get('stale-if-error')),
  })
}

function fieldsOf(value: string | true | undefined): readonly string[] | 'all' | undefined {
  if (value === undefined) return undefined
  if (value === true) return 'all'
  const names = parseFieldNames(value)
  return names === undefined || names.some((name) => essential.has(name)) ? 'all' : names
}

function withheldBy(...parts: (readonly string[] | 'all' | undefined)[]): readonly string[] {
  const names = parts.flatMap((part) => (part === undefined || part === 'all' ? [] : part))
  return names.length === 0 ? nothing : Object.freeze(names)
}

function lifetimeOf(found: Directives, name: string): number | undefined {
  const value = found.get(name)
  return value === undefined ? undefined : (parseDeltaSeconds(value) ?? 0)
}
