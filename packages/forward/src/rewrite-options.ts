import { isAuthority, isFieldName, isFieldValue } from '@sluice/headers'
import { that, v } from '@sluice/options'
import { isOfHop, ofHopInWords } from './rewritable-fields.js'

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const name = that<string>(
  (value) => typeof value === 'string' && isFieldName(value) && !isOfHop(value),
  `the name of a field, and ${ofHopInWords}`,
)

/** At its ends a value has no blanks (RFC 9110 section 5.5): HTTP/2 refuses a message that has some. */
const value = that<string>(
  (given) => typeof given === 'string' && isFieldValue(given) && !/^[ \t]|[ \t]$/.test(given),
  'a text without line breaks, control characters, characters above U+00FF and blanks at its ends',
)

/** Fields by name. @param host what may be done to Host, of which a request has one */
function fields(host: 'any' | 'one name' | 'none'): v.GenericSchema {
  return v.pipe(
    v.record(name, value),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return
      const given = dataset.value
      const names = new Set<string>()
      for (const [key, each] of Object.entries(given)) {
        const lower = key.toLowerCase()
        const path = [{ type: 'object', origin: 'value', input: given, key, value: each }] as const
        if (names.has(lower)) {
          addIssue({ input: each, message: 'each name once, whatever its case', path: [...path] })
        } else if (lower === 'host' && host === 'none') {
          addIssue({ input: each, message: 'no second Host: a request has one', path: [...path] })
        } else if (lower === 'host' && host === 'one name' && !isAuthority(each)) {
          addIssue({ input: each, message: "a host's name, and a port if you like", path: [...path] })
        }
        names.add(lower)
      }
    }),
  )
}

function rules(of: 'request' | 'response'): v.GenericSchema {
  const request = of === 'request'
  const one = v.strictObject({
    set: v.optional(fields(request ? 'one name' : 'any')),
    append: v.optional(fields(request ? 'none' : 'any')),
    default: v.optional(fields(request ? 'one name' : 'any')),
    remove: v.optional(v.array(name)),
    only: v.optional(v.array(name)),
  })
  const rule = that(
    (given) => typeof given === 'function',
    'an object of rules, a function, or a list of both',
  )
  const either = v.lazy((given) => (isObject(given) ? one : rule))
  return v.lazy((given) => (Array.isArray(given) ? v.array(either) : either))
}

const domainName = /^\.?[a-z\d_]([a-z\d_-]*[a-z\d_])?(\.[a-z\d_]([a-z\d_-]*[a-z\d_])?)*$/i
const isDomain = (given: unknown): boolean => typeof given === 'string' && domainName.test(given)
/** RFC 6265 section 4.1.1: no control characters and no semicolon, which would begin another attribute. */
const isPath = (given: unknown): boolean => typeof given === 'string' && /^\/[!-:<-~]*$/.test(given)

const domain = that<string | false>(
  (given) => given === false || isDomain(given),
  "a domain's name, or false, which takes the attribute away",
)
const domainFrom = that<string>((given) => given === '*' || isDomain(given), "a domain's name, or '*'")
const path = that<string>(isPath, "a path that begins with '/', without blanks and semicolons")
const pathFrom = that<string>(
  (given) => given === '*' || isPath(given),
  "a path that begins with '/', or '*'",
)
const flag = v.optional(v.boolean())

const cookies = v.strictObject({
  domain: v.optional(v.lazy((given) => (isObject(given) ? v.record(domainFrom, domain) : domain))),
  path: v.optional(v.lazy((given) => (isObject(given) ? v.record(pathFrom, path) : path))),
  secure: v.optional(
    that((given) => typeof given === 'boolean' || given === 'auto', "true, false or 'auto'"),
  ),
  httpOnly: flag,
  sameSite: v.optional(
    that(
      (given) => given === false || ['strict', 'lax', 'none'].includes(given as string),
      "'strict', 'lax', 'none' or false",
    ),
  ),
  partitioned: flag,
})

/** The entries of a schema for rewriting, to be one's own option's too. */
export const rewriteEntries = {
  request: v.optional(rules('request')),
  response: v.optional(rules('response')),
  location: v.optional(
    that((given) => given === 'origin' || given === 'all' || given === false, "'origin', 'all' or false"),
  ),
  cookies: v.optional(cookies),
}

/** The schema of `RewriteOptions`. */
export const rewriteOptions: v.GenericSchema = v.strictObject(rewriteEntries)
