import { secret, that, v } from '@sluice/options'
import { beside } from './beside.js'

/** Options of {@link signedUrl}. */
export interface SignedUrlOptions {
  /** Signs the URLs. Of several all are taken, so that one can be exchanged while URLs of the other are in use. Each 16 characters or more. Required. */
  secret: string | readonly string[]
  /** The parameter that says until when. Default 'expires'. */
  expires?: string
  /** The parameter that has the signature. Default 'signature'. */
  signature?: string
  /** The clock, in ms since 1970. Default `Date.now`. */
  now?: () => number
}

const shortest = 16

const one = secret<string>(
  (value) => typeof value === 'string' && value.length >= shortest,
  `a text of ${shortest} characters or more`,
)

/** Schema of one secret, or of a list of some. */
export const secretsSchema = v.lazy((value) =>
  Array.isArray(value)
    ? v.pipe(
        v.array(one),
        v.check((list) => list.length > 0, 'at least one text'),
      )
    : one,
) as v.GenericSchema<string | readonly string[]>

/** Schema of the name of a parameter. */
export const parameterSchema: v.GenericSchema<string> = that<string>(
  (value) => typeof value === 'string' && /^[\w.~-]+$/.test(value),
  'the name of a parameter that needs no escape: letters, digits, - . _ ~',
)

const object = v.strictObject({
  secret: secretsSchema,
  expires: v.optional(parameterSchema, 'expires'),
  signature: v.optional(parameterSchema, 'signature'),
  now: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function that gives ms since 1970'),
    () => Date.now,
  ),
})

const settings = v.pipe(
  object,
  beside<v.InferOutput<typeof object>>(
    'signature',
    ({ expires, signature }) => expires !== signature,
    'another name than expires',
  ),
)

/** The secret alone, say: it is no options, and isn't shown. */
const none = secret<SignedUrlOptions>(() => false, `{ ${Object.keys(object.entries).join(', ')} }`)

/** Schema of {@link SignedUrlOptions}. */
export const signedUrlOptions = v.lazy((value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? settings : none,
) as unknown as v.GenericSchema<SignedUrlOptions, v.InferOutput<typeof object>>
