import * as v from 'valibot'
import { fault, quote } from './fault.js'
import { takes, takesOf } from './takes.js'

/**
 * The output of a schema for a user's options.
 * @param path where the options stand in what the user wrote; nothing for the outermost
 * @throws TypeError with a line for every fault: the option's path, what it got, what it takes
 */
export function parse<S extends v.GenericSchema>(schema: S, value: unknown, path: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  const faults = result.issues.map((issue) => describe(issue, path, schema))
  throw new TypeError([...new Set(faults)].join('\n'))
}

function describe(issue: v.BaseIssue<unknown>, base: string, schema: v.GenericSchema): string {
  const path = pathOf(issue.path as PathItem[] | undefined, base)
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const item = issue.path?.at(-1) as PathItem
    const known = Object.keys(entriesAround(schema, issue.path as PathItem[]))
    const close = nearest(String(item.key), known)
    if (close !== undefined) return `${path}: unknown option, did you mean ${close}?`
    return `${path}: unknown option${known.length === 0 ? '' : `, known are ${known.join(', ')}`}`
  }
  const missing =
    issue.type === 'strict_object' && issue.input === undefined && issue.expected?.startsWith('"')
  if (missing) {
    const items = issue.path as PathItem[]
    const entry = entriesAround(schema, items)[String(items.at(-1)?.key)]
    const what = entry === undefined ? undefined : takesOf(entry as v.GenericSchema, undefined)
    return fault(path, 'nothing', `${what ?? 'a value'}: it is required`)
  }
  return fault(path, quote(issue.input), takes(issue))
}

interface PathItem {
  readonly type: string
  readonly key?: unknown
  readonly input: unknown
}

function pathOf(items: readonly PathItem[] | undefined, base: string): string {
  let path = base
  for (const { key } of items ?? []) {
    if (typeof key === 'number') path += `[${key}]`
    else path += path === '' ? String(key) : `.${String(key)}`
  }
  return path === '' ? 'options' : path
}

/** The options of the object in which an unknown one stood, or one was missing. */
function entriesAround(schema: v.GenericSchema, path: readonly PathItem[]): Record<string, unknown> {
  let at: unknown = schema
  for (const item of path.slice(0, -1)) at = step(unwrap(at, item.input), item)
  return unwrap(at, path.at(-1)?.input).entries ?? {}
}

/** What of valibot's schemas leads further in. */
interface Inner {
  readonly wrapped?: unknown
  readonly getter?: (input: unknown) => unknown
  readonly entries?: Record<string, unknown>
  readonly item?: unknown
  readonly value?: unknown
}

/** The object, list or record inside optional and lazy schemas. */
function unwrap(schema: unknown, input: unknown): Inner {
  let at = (schema ?? {}) as Inner
  while (at.wrapped !== undefined || at.getter !== undefined)
    at = (at.wrapped ?? at.getter?.(input) ?? {}) as Inner
  return at
}

function step({ entries, item, value }: Inner, { key }: PathItem): unknown {
  return entries !== undefined ? entries[String(key)] : (item ?? value)
}

/** The known name that is at most two edits away, and begins alike: `read` is no `head`. */
function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = 3
  for (const candidate of known) {
    const [given, meant] = [name.toLowerCase(), candidate.toLowerCase()]
    if (given[0] !== meant[0]) continue
    const edits = distance(given, meant)
    if (edits < least && edits < candidate.length) {
      least = edits
      best = candidate
    }
  }
  return best
}

/** Levenshtein's distance, by rows. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + cost))
    }
    row = next
  }
  return row[b.length] as number
}
