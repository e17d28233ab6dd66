import { readFileSync } from 'node:fs'
import { fault, integer, parse, quote, type Size, shortOr, size, that, v } from '@sluice/options'
import { type Dictionary, dictionaryOf } from './dictionary.js'
import type { DictionaryBounds } from './dictionary-store.js'
import { isPathPattern, PathPattern } from './path-pattern.js'
import { useAsDictionary } from './use-as-dictionary.js'

/** What a site shares with its clients (RFC 9842). At least one of `match` and `given`. */
export interface DictionaryOptions {
  /**
   * Responses that clients, and this proxy, keep as dictionaries for what comes after them: the next version of a bundle is then sent as what
   * is new in it. A text is a rule's `path`. Meant for what everybody gets: `'/static/*.js'`. Default none.
   */
  match?: string | DictionaryRule | readonly (string | DictionaryRule)[]
  /** Dictionaries that are known from the start: the bundle before this one, say, which the memory of a proxy that was restarted has lost. Default none. */
  given?: readonly GivenDictionary[]
  /** Bytes of all that were kept; those not asked for the longest go. Given ones aren't counted. Default 32mb. */
  maxSize?: Size
  /** Bytes of the largest response that is kept. Default 4mb. */
  maxEntry?: Size
  /** Dictionaries kept at most. Default 256. */
  maxCount?: number
}

/** Which responses become dictionaries, and for which requests. */
export interface DictionaryRule {
  /** Public paths of the responses, with `*` for any characters; queries don't count. */
  path: string
  /** Paths of the requests that are answered by them, alike. Default `path`. */
  match?: string
  /** What the requests are for, as `Sec-Fetch-Dest` names it: `['script']`. Browsers go by it. Default anything. */
  matchDest?: readonly string[]
  /** Clients send it with the hash, in `Dictionary-ID`: for a target that goes by it. Up to 1024 characters. Default none. */
  id?: string
}

/** A dictionary's bytes, or the file in which they are, read at once; and the paths of the requests that may be answered by it. */
export type GivenDictionary = { bytes: Uint8Array; match: string } | { file: string; match: string }

/** A {@link DictionaryRule} that is ready. */
export interface ReadyRule {
  readonly path: PathPattern
  readonly match: PathPattern
  /** The value of `Use-As-Dictionary`. */
  readonly field: string
}

/** {@link DictionaryOptions} with none left out. */
export interface DictionarySettings extends DictionaryBounds {
  readonly rules: readonly ReadyRule[]
  readonly given: readonly Dictionary[]
}

const pattern = that<string>(
  isPathPattern,
  "a path such as '/static/*.js': '/', then letters, digits and -_.~!$&',;=@%/, with * for any characters",
)
/** The names of destinations in the Fetch standard; an empty one is that of fetch() itself. */
const destination = that<string>(
  (value) => typeof value === 'string' && /^[a-z]*$/.test(value),
  "a destination such as 'script' or 'document'",
)
const id = that<string>(
  (value) => typeof value === 'string' && /^[\x20-\x7e]{1,1024}$/.test(value),
  '1 to 1024 printable ASCII characters',
)
const rule = shortOr(
  pattern,
  "a path such as '/static/*.js'",
  v.strictObject({
    path: pattern,
    match: v.optional(pattern),
    matchDest: v.optional(v.array(destination)),
    id: v.optional(id),
  }),
)
const match = v.lazy((value) => (Array.isArray(value) ? v.array(rule) : rule)) as v.GenericSchema<
  NonNullable<DictionaryOptions['match']>
>
const bytes = that<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length > 0,
  'a Uint8Array that is not empty',
)
const given = v.lazy((value) =>
  typeof value === 'object' && value !== null && 'bytes' in value
    ? v.strictObject({ bytes, match: pattern })
    : v.strictObject({ file: v.string(), match: pattern }),
) as v.GenericSchema<GivenDictionary>
const bound = v.pipe(
  size(),
  v.check((value) => value > 0, 'more than 0'),
)

/** Validates {@link DictionaryOptions} and fills in the defaults. */
export const dictionaryOptions = v.strictObject({
  match: v.optional(match, []),
  given: v.optional(v.array(given), []),
  maxSize: v.optional(bound, 32 * 1024 * 1024),
  maxEntry: v.optional(bound, 4 * 1024 * 1024),
  maxCount: v.optional(integer(1, 10_000), 256),
})

/**
 * Dictionary options with defaults for those left out; files are read.
 * @throws TypeError that names the option below `path`
 */
export function resolveDictionaries(options: DictionaryOptions, path = 'dictionaries'): DictionarySettings {
  const {
    match: rules,
    given: bytesOrFiles,
    maxCount,
    maxEntry,
    maxSize,
  } = parse(dictionaryOptions, options, path)
  const all = [rules].flat() as (string | DictionaryRule)[]
  if (all.length === 0 && bytesOrFiles.length === 0)
    throw new TypeError(fault(path, quote(options), 'match, given, or both'))
  return {
    maxCount,
    maxEntry: Math.min(maxEntry, maxSize),
    maxSize,
    rules: all.map((each) => ready(typeof each === 'string' ? { path: each } : each)),
    given: bytesOrFiles.map((each, i) =>
      dictionaryOf(
        'bytes' in each ? Buffer.from(each.bytes) : read(each.file, `${path}.given[${i}].file`),
        new PathPattern(each.match),
      ),
    ),
  }
}

function ready(one: DictionaryRule): ReadyRule {
  const { path, match: requests = path } = one
  return {
    path: new PathPattern(path),
    match: new PathPattern(requests),
    field: useAsDictionary({ ...one, match: requests }),
  }
}

function read(file: string, path: string): Buffer {
  let found: Buffer
  try {
    found = readFileSync(file)
  } catch (error) {
    throw new TypeError(
      fault(path, quote(file), `a file that can be read: ${(error as NodeJS.ErrnoException).code}`),
    )
  }
  if (found.length === 0) throw new TypeError(fault(path, quote(file), 'a file that is not empty'))
  return found
}
