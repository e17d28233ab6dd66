import { METHODS } from 'node:http'
import { isIPv6 } from 'node:net'
import { get, isFieldName, isFieldValue, isNamed, judgePath, parseAuthority } from '@sluice/headers'
import { parse } from '@sluice/options'
import { PassedFields } from './passed-fields.js'
import type { RequestRule } from './request-rules.js'
import { singleField } from './single-fields.js'
import { looksOwned } from './underscored-names.js'
import { type ValidateOptions, type ValidateSettings, validateOptions } from './validate-options.js'

/** What of a request is judged: what a `Context` has. */
export interface JudgedRequest {
  /** As it came. */
  readonly req: { readonly rawHeaders: readonly string[]; readonly url?: string | undefined }
  /** As it goes out. */
  readonly out: { readonly method: string; readonly path: string }
  /** Host and port that it is for; empty where an HTTP/1.0 client has named none. */
  readonly authority: string
}

/** Whether a request may pass, and what has to go from it; or the rule that it breaks. */
export type RequestJudgement =
  | { readonly ok: true; readonly drop: boolean }
  | { readonly ok: false; readonly rule: RequestRule }

const passes: RequestJudgement = Object.freeze({ ok: true, drop: false })
const passesWithout: RequestJudgement = Object.freeze({ ok: true, drop: true })

/** A path or a query that has one of these is looked at again; what has none is visible ASCII. */
const doubtful = /[^\x21\x22\x24-\x5b\x5d-\x7e]|%(?:0|c0%8|e0%80%8)[0ad]/i
const encodedNul = /%(?:0|c0%8|e0%80%8)0/i
const encodedLineBreak = /%(?:0|c0%8|e0%80%8)[ad]/i
/** A name that no rule is about. */
const plainName = /^[\dA-Za-z-]+$/
const capitals = new Set(METHODS)

/**
 * Makes what judges requests by `options`: the engine of `validate`. It needs no chain, reads each request in one pass over its fields,
 * edits nothing and never throws. Where it says `drop`, names with `_` must go (see `withoutUnderscored`).
 * @param path where the options stand in what a user wrote
 * @throws TypeError for a wrong option
 */
export function requestJudge(
  options: ValidateOptions = {},
  path = 'validate',
): (request: JudgedRequest) => RequestJudgement {
  const settings = parse(validateOptions, options, path)
  const { connect, maxUrl, methods } = settings
  const tunnels = connect === 'pass' || (connect === undefined && methods?.includes('CONNECT') === true)
  const served = hostsOf(settings)
  const refusals = new Map<RequestRule, RequestJudgement>()
  const refusal = (rule: RequestRule): RequestJudgement => {
    let made = refusals.get(rule)
    if (made === undefined) {
      made = Object.freeze({ ok: false, rule })
      refusals.set(rule, made)
    }
    return made
  }
  const passed = new PassedFields()
  // Most requests name the host of the one before.
  let lastServed: string | undefined
  return ({ req, out, authority }) => {
    const { method, path: target } = out
    const { url = target, rawHeaders } = req
    if (maxUrl > 0 && url.length > maxUrl) return refusal('target-length')
    if (method !== 'GET' && method !== 'POST' && /[a-z]/.test(method) && capitals.has(method.toUpperCase()))
      return refusal('method-case')
    if (method === 'CONNECT' && !tunnels) return refusal('connect')
    if (methods !== undefined && !methods.includes(method)) return refusal('method-denied')
    if (url.charCodeAt(0) !== 47) {
      const rule = absoluteFault(url, rawHeaders, settings)
      if (rule !== undefined) return refusal(rule)
    }
    if (authority !== lastServed) {
      const rule = hostFault(authority, served)
      if (rule !== undefined) return refusal(rule)
      lastServed = authority
    }
    const wrong = targetFault(target, settings) ?? fieldsFault(rawHeaders, settings, passed)
    if (wrong === undefined) return passes
    return wrong === 'drop' ? passesWithout : refusal(wrong)
  }
}

/** What is wrong with an absolute request-target (RFC 9112 section 3.2.2). */
function absoluteFault(
  url: string,
  fields: readonly string[],
  { absoluteTarget }: ValidateSettings,
): RequestRule | undefined {
  const match = /^([a-z][a-z\d+.-]*):\/\/([^/?#]*)/i.exec(url)
  if (match === null) return undefined
  const scheme = (match[1] as string).toLowerCase()
  if (scheme !== 'http' && scheme !== 'https') return 'target-scheme'
  const host = absoluteTarget === 'reject' ? get(fields, 'host') : undefined
  if (host === undefined || isSame(host, match[2] as string, scheme === 'http' ? 80 : 443)) return undefined
  return 'target-differs'
}

function isSame(host: string, target: string, port: number): boolean {
  if (host === target) return true
  const [one, other] = [parseAuthority(host), parseAuthority(target)]
  if (one === undefined || other === undefined) return false
  return one.host === other.host && (one.port ?? port) === (other.port ?? port)
}

/** The hosts that are served: by name, and those whose names below are. */
interface Served {
  readonly exact: ReadonlySet<string>
  readonly below: readonly string[]
}

function hostsOf({ hosts }: ValidateSettings): Served | undefined {
  if (hosts === undefined) return undefined
  const lower = hosts.map((host) => host.toLowerCase())
  return {
    exact: new Set(lower.filter((host) => host[0] !== '*')),
    below: lower.filter((host) => host[0] === '*').map((host) => host.slice(1)),
  }
}

function hostFault(authority: string, served: Served | undefined): RequestRule | undefined {
  // Only a client of HTTP/1.0 may name none.
  if (authority === '') return served === undefined ? undefined : 'host-denied'
  const parsed = parseAuthority(authority)
  if (parsed === undefined) return 'host-port'
  const { host } = parsed
  // A % would be decoded by some: no client of a name or an address sends one.
  if (host.includes('%') || (host[0] === '[' && !isIPv6(host.slice(1, -1)))) return 'host-invalid'
  if (served === undefined) return undefined
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  if (served.exact.has(name)) return undefined
  for (const end of served.below) if (name.length > end.length && name.endsWith(end)) return undefined
  return 'host-denied'
}

/** What is wrong with path and query. `*` and the target of a CONNECT have nothing that is looked for. */
function targetFault(target: string, settings: ValidateSettings): RequestRule | undefined {
  const { backslash, dotSegments, maxQueryParameters } = settings
  const mayHaveDots = dotSegments === 'reject' && /\.|%2e/i.test(target)
  const isDoubtful = mayHaveDots || doubtful.test(target)
  if (isDoubtful) {
    if (/[\0-\x20\x7f-\uffff]/.test(target)) return 'target-bytes'
    if (target.includes('#')) return 'target-fragment'
    const end = target.indexOf('?')
    const path = end === -1 ? target : target.slice(0, end)
    if (backslash === 'reject' && path.includes('\\')) return 'path-backslash'
    if (settings.encodedNul === 'reject' && encodedNul.test(path)) return 'path-nul'
    if (settings.encodedLineBreaks === 'reject' && encodedLineBreak.test(path)) return 'path-line-break'
    if (mayHaveDots) {
      const judged = judgePath(path, { dotSegments })
      if (!judged.ok) return judged.rule === 'dot-segment' ? 'path-dot-segment' : 'path-encoding'
    }
  }
  // There can't be more parameters than characters.
  if (maxQueryParameters > 0 && target.length > maxQueryParameters) {
    const start = target.indexOf('?')
    if (start !== -1 && parts(target, /[&;]/g, start) > maxQueryParameters) return 'query-parameters'
  }
  return undefined
}

/** What is wrong with the fields, or that names with `_` have to go. */
function fieldsFault(
  fields: readonly string[],
  settings: ValidateSettings,
  passed: PassedFields,
): RequestRule | 'drop' | undefined {
  const { maxCookies, maxHeaderBytes, maxHeaders, underscores } = settings
  let count = 0
  let bytes = 0
  let cookies = 0
  let cookieBytes = 0
  let single = 0
  let drop = false
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    // Pseudo fields of HTTP/2: method, host and path are judged by themselves.
    if (name.charCodeAt(0) === 58) continue
    const value = fields[i + 1] as string
    bytes += name.length + value.length
    count++
    if (passed.has(name, value)) continue
    const plain = plainName.test(name)
    if (!plain) {
      if (!isFieldName(name)) return 'header-name'
      const underscored = underscores !== 'pass' && name.includes('_')
      if (underscored && underscores === 'reject') return 'header-underscore'
      drop ||= underscored || looksOwned(name)
    }
    // Node's parsers let none through; one that is told to be lenient does.
    if (!isFieldValue(value)) return 'header-bytes'
    const bit = singleField(name)
    if (bit !== 0) {
      if ((single & bit) !== 0) return 'header-repeated'
      single |= bit
    } else if (isNamed(name, 'cookie')) {
      if (cookies++ > 0) count--
      cookieBytes += value.length
    } else if (plain) passed.add(name, value)
  }
  if (maxHeaders > 0 && count > maxHeaders) return 'header-count'
  if (maxHeaderBytes > 0 && bytes > maxHeaderBytes) return 'header-size'
  if (maxCookies > 0 && cookies + cookieBytes > maxCookies && cookiesIn(fields) > maxCookies)
    return 'cookie-count'
  return drop ? 'drop' : undefined
}

function cookiesIn(fields: readonly string[]): number {
  let sum = 0
  for (let i = 0; i < fields.length; i += 2)
    if (isNamed(fields[i] as string, 'cookie')) sum += parts(fields[i + 1] as string, /;/g)
  return sum
}

/** Parts of a text between separators. */
function parts(text: string, separator: RegExp, from = 0): number {
  let count = 1
  separator.lastIndex = from
  while (separator.test(text)) count++
  return count
}
