import { isFieldName } from '@sluice/headers'
import { type Duration, duration, that, v } from '@sluice/options'
import { beside } from './beside.js'

/** Options of {@link cors}. */
export interface CorsOptions {
  /**
   * Whose pages may read answers: `'*'` for all, or origins as browsers write them (`'https://app.example'`), `'https://*.example.com'` for all
   * names below one, `'null'` for pages that have none; or a function of the origin. Required.
   */
  origins: '*' | readonly string[] | ((origin: string) => boolean)
  /** Methods beside GET, HEAD and POST that pages may use. Default `['PUT', 'PATCH', 'DELETE']`. */
  methods?: readonly string[]
  /** Fields that pages may send, or `'*'` for all but `Authorization`. Default `['Content-Type']`. */
  headers?: '*' | readonly string[]
  /** Fields of answers that pages may read, beside those that all may. Default none. */
  expose?: readonly string[]
  /** Requests may come with cookies and the like. Never with `'*'`. Default false. */
  credentials?: boolean
  /** How long browsers may keep what they have been told ahead of a request. Default 10m. */
  maxAge?: Duration
}

/** RFC 6454 section 6.1: as a browser writes it, so that texts can be compared. */
function isOrigin(value: unknown): boolean {
  if (value === 'null') return true
  if (typeof value !== 'string') return false
  const plain = value.replace('://*.', '://')
  try {
    return !plain.includes('*') && new URL(plain).origin === plain
  } catch {
    return false
  }
}

const fields = v.array(
  that<string>(
    (value) => typeof value === 'string' && value !== '*' && isFieldName(value),
    'the name of a field',
  ),
)
const isListOr = (value: unknown): boolean => value === '*' || Array.isArray(value)

const object = v.strictObject({
  origins: v.lazy((value) =>
    Array.isArray(value)
      ? v.pipe(
          v.array(
            that<string>(
              isOrigin,
              "an origin such as 'https://app.example', in lower case, without a path or a port that is the default",
            ),
          ),
          v.check((list) => list.length > 0, 'at least one origin'),
        )
      : that(
          (given) => given === '*' || typeof given === 'function',
          "'*', a list of origins, or a function",
        ),
  ) as v.GenericSchema<CorsOptions['origins']>,
  methods: v.optional(
    v.array(
      that<string>(
        (value) => typeof value === 'string' && value !== '*' && isFieldName(value),
        'a method, as it is written in requests',
      ),
    ),
    ['PUT', 'PATCH', 'DELETE'],
  ),
  headers: v.optional(
    v.lazy((value) =>
      Array.isArray(value) ? fields : that(isListOr, "'*', or a list of names of fields"),
    ) as v.GenericSchema<'*' | readonly string[]>,
    ['Content-Type'],
  ),
  expose: v.optional(fields, []),
  credentials: v.optional(v.boolean(), false),
  maxAge: v.optional(duration(), '10m'),
})

type Settings = v.InferOutput<typeof object>

/** Schema of {@link CorsOptions}. */
export const corsOptions = v.pipe(
  object,
  beside<Settings>(
    'origins',
    ({ origins, credentials }) =>
      !credentials || (origins !== '*' && !(Array.isArray(origins) && origins.includes('null'))),
    "neither '*' nor 'null' with credentials: every page could read what is for one user",
  ),
  beside<Settings>(
    'headers',
    ({ headers, credentials }) => !credentials || headers !== '*',
    "a list with credentials: '*' is no wildcard there",
  ),
)
