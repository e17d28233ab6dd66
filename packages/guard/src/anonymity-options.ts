import { integer, oneOf, parse, secret, that, v } from '@sluice/options'
import type { FieldsRule } from './tell-tales.js'

/** Kinds of bodies whose URLs can be rewritten. */
export type RewritableBody = 'html' | 'css' | 'json'

/** What targets hear of a client. */
export type ClientIdentity = 'pass' | 'remove' | { readonly hash: string }

/** Options of {@link anonymity}. */
export interface AnonymityOptions {
  /**
   * Which fields of answers go: `'known'` tell-tales (`Server`, `Via`, `X-Powered-By`, `Server-Timing`, `Alt-Svc`, what begins with
   * `X-Backend`, `X-Debug`, `X-Cache` and some hundred more); `{ keep, remove }` takes names out of those and adds others; `{ allow }`
   * lets nothing pass but what is listed and what an answer can't be without. A name may end in `*`. Default `'known'`.
   */
  fields?: FieldsRule
  /** URLs of targets, whose names go from all fields: a list, or a function that gives the current one. Default none. */
  origins?: readonly string[] | (() => Iterable<string>)
  /** Kinds of bodies in which URLs of `origins` become public ones, while they flow. Default none. */
  bodies?: readonly RewritableBody[]
  /** Which answers lose their body to a page that says the status alone: all of 5xx, or those listed. Default `true`: 5xx. */
  errors?: boolean | readonly number[]
  /**
   * What targets hear of the client: `'pass'`, its address; `'remove'`, nothing; `{ hash }`, a name that is always the same for one
   * address, keyed with this secret of 16 characters or more. Default `'pass'`.
   */
  client?: ClientIdentity
}

const names = v.array(
  that<string>(
    (value) => typeof value === 'string' && /^[\w!#$%&'+.^`|~-]+\*?$/.test(value),
    "a field's name, or the begin of one with a * at its end",
  ),
)

const rules = v.lazy((value) => {
  if (typeof value === 'object' && value !== null && 'allow' in value) return v.strictObject({ allow: names })
  if (typeof value === 'object' && value !== null)
    return v.strictObject({ keep: v.optional(names), remove: v.optional(names) })
  return that((given) => given === 'known', "'known', { allow }, or { keep, remove }")
}) as v.GenericSchema<FieldsRule>

const client = v.lazy((value) =>
  typeof value === 'object' && value !== null
    ? v.strictObject({
        hash: secret<string>(
          (given) => typeof given === 'string' && given.length >= 16,
          'a secret of at least 16 characters',
        ),
      })
    : // Somebody may have written the secret here.
      secret<'pass' | 'remove'>(
        (given) => given === 'pass' || given === 'remove',
        "'pass', 'remove', or { hash }",
      ),
) as v.GenericSchema<ClientIdentity>

const origins = v.lazy((value) =>
  typeof value === 'function'
    ? that<() => Iterable<string>>(() => true, 'a function')
    : v.array(that<string>(isOrigin, "a URL such as 'http://10.0.0.5:3000'")),
) as v.GenericSchema<readonly string[] | (() => Iterable<string>)>

/** Validates {@link AnonymityOptions} and fills in the defaults. */
export const anonymityOptions = v.strictObject({
  fields: v.optional(rules, 'known'),
  origins: v.optional(origins, () => []),
  bodies: v.optional(v.array(oneOf('html', 'css', 'json')), () => []),
  errors: v.optional(
    v.lazy((value) =>
      Array.isArray(value)
        ? v.array(integer(400, 599))
        : that((given) => typeof given === 'boolean', 'true, false, or a list of statuses'),
    ) as v.GenericSchema<boolean | readonly number[]>,
    true,
  ),
  client: v.optional(client, 'pass'),
})

function isOrigin(value: unknown): boolean {
  if (typeof value !== 'string') return false
  return value.startsWith('unix:') || (URL.canParse(value) && /^[a-z]+:\/\/./i.test(value))
}

/** {@link AnonymityOptions}, none left out. */
export type Anonymity = Required<AnonymityOptions>

/** @throws TypeError for a wrong option */
export function resolveAnonymity(options: AnonymityOptions, path: string): Anonymity {
  return parse(anonymityOptions, options, path) as Anonymity
}
