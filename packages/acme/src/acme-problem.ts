import { AcmeError, type AcmePhase, printable } from './acme-error.js'

/** What a server says of one name of an order (RFC 8555 section 6.7.1). */
export interface AcmeSubproblem {
  readonly type: string
  readonly detail: string
  /** The name, or address, that it is about. */
  readonly name?: string
}

/** A problem document (RFC 7807), as far as it is one: all of its text is safe to show. */
export interface ProblemDocument {
  /** Without `urn:ietf:params:acme:error:` where it is one of ACME's, such as `'rateLimited'`. */
  readonly type: string
  readonly detail: string
  readonly subproblems: readonly AcmeSubproblem[]
  /** Where a person has to go, with `'userActionRequired'`. */
  readonly instance?: string
}

/** Where a problem came from. */
interface ProblemSource {
  readonly phase: AcmePhase
  readonly url: string
  /** HTTP status; 0 where it stood in an order or a challenge. */
  readonly status: number
  readonly retryAfterMs?: number | undefined
}

/** The server's own no, with its reason. */
export class AcmeProblem extends AcmeError implements ProblemDocument {
  readonly type: string
  readonly status: number
  readonly detail: string
  readonly subproblems: readonly AcmeSubproblem[]
  readonly instance?: string

  constructor(problem: ProblemDocument, { status, ...source }: ProblemSource) {
    const { type, detail, subproblems, instance } = problem
    const parts = subproblems.slice(0, 5).map((each) => `${each.name ?? 'all'}: ${each.type} ${each.detail}`)
    const rest = subproblems.length > parts.length ? [`and ${subproblems.length - parts.length} more`] : []
    const all = [`${type}: ${detail}${status === 0 ? '' : ` (${status})`}`, ...parts, ...rest].join('; ')
    super({ ...source, code: 'problem', what: all }, hintOf(problem))
    this.name = 'AcmeProblem'
    this.type = type
    this.status = status
    this.detail = detail
    this.subproblems = subproblems
    if (instance !== undefined) this.instance = instance
  }
}

/** What a person does about the types of RFC 8555 section 6.7 that wait for one. */
const todos: Readonly<Record<string, string>> = {
  caa: 'let this authority in by the CAA records of the name',
  connection: 'the server must reach this host by that name, on port 80 (http-01) or 443 (tls-alpn-01)',
  dns: 'check the records of the name',
  externalAccountRequired: 'get a key id and an HMAC key from those who run the server, for `eab`',
  incorrectResponse: 'who answers at that name is not this process, nor one with its storage',
  rateLimited: 'wait',
  rejectedIdentifier: 'take the name out, or take another server',
  unauthorized: 'check that the name leads here, and that the account is the one that began',
}

function hintOf({ type, instance }: ProblemDocument): string {
  if (type === 'userActionRequired' && instance !== undefined) return `somebody must go to ${instance}`
  return todos[type] ?? 'the server says why'
}

const own = 'urn:ietf:params:acme:error:'

/** Of a JSON value that a server sent; `undefined` where it is no problem document. */
export function readProblem(json: unknown): ProblemDocument | undefined {
  if (!isRecord(json)) return undefined
  const { type, detail, title, instance, subproblems } = json
  if (typeof type !== 'string' && typeof detail !== 'string') return undefined
  const link = typeof instance === 'string' && /^https?:\/\/\S{1,500}$/.test(instance) ? instance : undefined
  return {
    type: typeOf(type),
    detail: textOf(detail) || textOf(title),
    subproblems: Array.isArray(subproblems)
      ? subproblems
          .slice(0, 100)
          .filter(isRecord)
          .map((each) => ({
            type: typeOf(each['type']),
            detail: textOf(each['detail']),
            ...nameOf(each['identifier']),
          }))
      : [],
    ...(link === undefined ? {} : { instance: printable(link) }),
  }
}

function typeOf(type: unknown): string {
  const text = textOf(type) || 'about:blank'
  return text.startsWith(own) ? text.slice(own.length) : text
}

function nameOf(identifier: unknown): { name?: string } {
  const name = isRecord(identifier) ? textOf(identifier['value']) : ''
  return name === '' ? {} : { name }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? printable(value) : ''
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
