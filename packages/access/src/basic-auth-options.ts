import { secret, that, v } from '@sluice/options'
import { fieldNameSchema, isText } from './field-names.js'
import { passwordTakes, readPassword } from './password-check.js'

/** Says whether this password is that user's. What it throws or rejects with refuses the request with 500. */
export type CheckPassword = (name: string, password: string) => boolean | Promise<boolean>

/** Options of {@link basicAuth}. */
export interface BasicAuthOptions {
  /**
   * Passwords by the users' names, or a function that knows them. A password is what `hashPassword` has made of it (`$scrypt$…`),
   * `sha256:` with the digest in hexadecimal for what is random and long, or the password itself. Required.
   */
  users: Readonly<Record<string, string>> | CheckPassword
  /** What browsers show beside the question. Default 'Restricted'. */
  realm?: string
  /** The target gets `Authorization` too. Default false: it is taken off, since a password is nothing for those who needn't check it. */
  forward?: boolean
  /** The field in which targets hear of the user's name. What clients send in it is removed. Default: they don't. */
  header?: string
}

const isTable = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const table = v.pipe(
  secret<Readonly<Record<string, string>>>(
    (value) => Object.keys(value as object).length > 0 && Object.keys(value as object).every(isUserName),
    'passwords by the names of users: one at least, names without colons and control characters',
  ),
  v.record(
    v.string(),
    secret<string>((value) => readPassword(value) !== undefined, passwordTakes),
  ),
)
const users = v.lazy((value) =>
  isTable(value)
    ? table
    : secret<CheckPassword>(
        (given) => typeof given === 'function',
        'passwords by the names of users, or a function of name and password',
      ),
) as unknown as v.GenericSchema<BasicAuthOptions['users']>

/** RFC 7617 section 2: a name ends at the first colon. */
function isUserName(name: string): boolean {
  return name !== '' && isText(name) && !name.includes(':')
}

const object = v.strictObject({
  users,
  realm: v.optional(
    that<string>(
      (value) => typeof value === 'string' && /^[\x20-\x7e]+$/.test(value),
      'a text in ASCII, not empty',
    ),
    'Restricted',
  ),
  forward: v.optional(v.boolean(), false),
  header: v.optional(fieldNameSchema),
})

/** `name:password`, say: it is no options, and isn't shown. */
const none = secret<BasicAuthOptions>(() => false, `{ ${Object.keys(object.entries).join(', ')} }`)

/** Schema of {@link BasicAuthOptions}. */
export const basicAuthOptions = v.lazy((value) =>
  isTable(value) ? object : none,
) as unknown as v.GenericSchema<BasicAuthOptions, v.InferOutput<typeof object>>
