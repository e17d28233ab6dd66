import { inspect } from 'node:util'
import { type Context, ProxyError } from '@sluice/core'
import {
  type FieldRuleSet,
  fieldRules,
  type HeaderList,
  isAuthority,
  isFieldName,
  isFieldValue,
} from '@sluice/headers'
import { isOfHop, keptFields } from './rewritable-fields.js'

/** Edits a list of fields. @throws ProxyError proxy_internal_error for what a function of the app's did */
export type FieldEdit = (list: HeaderList, ctx: Context) => void

type Rule = FieldRuleSet | ((headers: HeaderList, ctx: never) => void)

/**
 * Rules as one function, made ready once. Objects were looked at when they were given. What a function leaves behind is looked
 * at each time, since a line break in a value would become a field, or a message, of its own.
 */
export function fieldEdit(
  rules: Rule | readonly Rule[] | undefined,
  of: 'request' | 'response',
): FieldEdit | undefined {
  if (rules === undefined) return undefined
  const list = Array.isArray(rules) ? (rules as readonly Rule[]) : [rules as Rule]
  const edits = list.map((rule) =>
    typeof rule === 'function' ? checked(rule as FieldEdit, of) : fieldRules(rule, keptFields),
  )
  const [first] = edits
  if (edits.length <= 1) return first
  return function editAll(fields, ctx) {
    for (let i = 0; i < edits.length; i++) (edits[i] as FieldEdit)(fields, ctx)
  }
}

/** A function of the app's, and a look at what it has done. */
function checked(rule: FieldEdit, of: 'request' | 'response'): FieldEdit {
  return function editAndLook(list, ctx) {
    const before = framing(list)
    let gave: unknown
    try {
      gave = (rule as (list: HeaderList, ctx: Context) => unknown)(list, ctx)
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : inspect(cause)
      throw failed(of, `threw: ${said}`, cause)
    }
    if (isThenable(gave)) {
      // Nobody waits for it: if it fails later, that must not end the process.
      gave.then(undefined, () => {})
      throw failed(of, 'gave a promise, and rules are synchronous')
    }
    const wrong = faultOf(list, of)
    if (wrong !== undefined) throw failed(of, wrong)
    if (framing(list) !== before)
      throw failed(of, 'changed a field that frames the message or belongs to its connection')
  }
}

/** What of the list isn't HTTP. */
function faultOf(list: HeaderList, of: 'request' | 'response'): string | undefined {
  if (list.length % 2 !== 0) return 'left a list that is not name, value, name, value'
  let hosts = 0
  for (let i = 0; i < list.length; i += 2) {
    const name: unknown = list[i]
    const value: unknown = list[i + 1]
    if (typeof name !== 'string' || !isFieldName(name)) return `left a name that is none: ${short(name)}`
    if (typeof value !== 'string' || !isFieldValue(value)) return `left a value of ${name} that is none`
    if (
      of === 'request' &&
      name.length === 4 &&
      name.toLowerCase() === 'host' &&
      (++hosts > 1 || !isAuthority(value))
    )
      return 'left a Host that is not one name'
  }
  return undefined
}

/** The fields that no rule may change, in an order that doesn't depend on where they stand. */
function framing(list: HeaderList): string {
  let found: string[] | undefined
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    if (!isOfHop(name)) continue
    found ??= []
    found.push(`${name.toLowerCase()}: ${list[i + 1]}`)
  }
  return found === undefined ? '' : found.sort().join('\n')
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}

/** What a client may have sent stays out of the message, but for a short, quoted part. */
function short(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : typeof value
}

function failed(of: string, what: string, cause?: unknown): ProxyError {
  const message = `a rule of rewrite.${of} ${what}`
  return new ProxyError('proxy_internal_error', cause === undefined ? { message } : { message, cause })
}
