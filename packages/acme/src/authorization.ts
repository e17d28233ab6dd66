import { oneOf, that, v } from '@sluice/options'
import { identifier, time, url } from './documents.js'

/**
 * Section 8.3 of RFC 8555: base64url, and no less than 128 bits. It becomes part of paths and of keys in a storage, so it can't be
 * anything else.
 */
const token = that<string>(
  (value) => typeof value === 'string' && /^[\w-]{16,256}$/.test(value),
  'a token in base64url, of 16 to 256 characters',
)

const challengeSchema = v.object({
  type: v.string(),
  url,
  status: oneOf('pending', 'processing', 'valid', 'invalid'),
  token,
  error: v.optional(v.unknown()),
})

/** Kinds of challenge that this client can answer. Others are not even looked at: what a future one holds isn't known. */
const known = ['http-01', 'dns-01', 'tls-alpn-01']

/** RFC 8555 section 7.1.4. */
export const authorizationSchema = v.object({
  identifier,
  status: oneOf('pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked'),
  expires: v.optional(time),
  wildcard: v.optional(v.boolean(), false),
  challenges: v.pipe(
    v.array(v.looseObject({ type: v.string() })),
    v.transform((all) => all.filter(({ type }) => known.includes(type)).slice(0, 20)),
    v.array(challengeSchema),
  ),
})

/** One way to show that a name is ours. */
export type Challenge = v.InferOutput<typeof challengeSchema>

/** What a server knows of us and a name. */
export interface Authorization extends v.InferOutput<typeof authorizationSchema> {
  readonly url: string
}
