import { inspect } from 'node:util'
import * as v from 'valibot'
import { takesOf } from './takes.js'

export * from 'valibot'

/**
 * Schema of an object of options. Unlike valibot's it refuses what holds its contents otherwise, and an error tells which options there are,
 * and of all that are unknown.
 */
export const strictObject: typeof v.strictObject = (entries: v.ObjectEntries) => {
  const takes = `{ ${Object.keys(entries).join(', ')} }`
  const schema = v.strictObject(entries, takes)
  const run = schema['~run'].bind(schema)
  const refuse = v.custom(() => false, takes)
  return Object.assign(schema, {
    '~run': (...[dataset, config]: Parameters<typeof run>) => {
      const given = dataset.value
      if (holdsOtherwise(given)) return refuse['~run']({ ...dataset, value: unshown(given) }, config)
      const result = run(dataset, config)
      tellAll(result.issues, given as Record<string, unknown>, entries)
      return result
    },
  }) as never
}

/** Schema of values by names. Unlike valibot's it refuses what holds its contents otherwise: of a list it would read `0` as a name. */
export const record: typeof v.record = (
  name: Parameters<typeof v.record>[0],
  value: v.GenericSchema,
  takes = 'values by their names',
) => {
  const schema = v.record(name, value, takes)
  const run = schema['~run'].bind(schema)
  const refuse = v.custom(() => false, takes as string)
  return Object.assign(schema, {
    '~run': (...[dataset, config]: Parameters<typeof run>) =>
      holdsOtherwise(dataset.value)
        ? refuse['~run']({ ...dataset, value: unshown(dataset.value) }, config)
        : run(dataset, config),
  }) as never
}

/** A list, a `Map`, `Headers`, a promise: no option is a property of it, so what it holds would go unread. */
function holdsOtherwise(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  return Symbol.iterator in value || typeof (value as { then?: unknown }).then === 'function'
}

/** Stands in an error's text for what may hold secrets, as a promise of TLS options does: by its kind alone. A list is shown. */
function unshown(value: object): object {
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1)
  return Array.isArray(value) ? value : { [inspect.custom]: () => kind }
}

/** Valibot tells of the first unknown option alone. */
function tellAll(
  issues: v.BaseIssue<unknown>[] | undefined,
  given: Record<string, unknown>,
  known: v.ObjectEntries,
): void {
  const first = issues?.find(
    ({ type, expected, path }) => type === 'strict_object' && expected === 'never' && path?.length === 1,
  )
  const [item] = first?.path ?? []
  if (first === undefined || item === undefined) return
  for (const key in given)
    if (!Object.hasOwn(known, key) && key !== item.key)
      issues?.push({ ...first, input: key, path: [{ ...item, key, value: given[key] } as v.IssuePathItem] })
}

/** Schema of a list. An error tells what is in it. */
export const array: typeof v.array = (item: v.GenericSchema) => {
  // What no option takes, to hear what the items are.
  const takes = takesOf(item, Symbol('no option'))
  return v.array(item, takes === undefined ? 'a list' : `a list, each ${takes}`) as never
}
