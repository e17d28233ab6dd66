import * as v from 'valibot'
import { takesOf } from './takes.js'

export * from 'valibot'

/**
 * Schema of an object of options. Unlike valibot's it refuses a list, which would be an object without any option, and an error tells which
 * options there are.
 */
export const strictObject: typeof v.strictObject = (entries: v.ObjectEntries) => {
  const takes = `{ ${Object.keys(entries).join(', ')} }`
  const schema = v.strictObject(entries, takes)
  const run = schema['~run'].bind(schema)
  const refuse = v.custom(() => false, takes)
  return Object.assign(schema, {
    '~run': (...[dataset, config]: Parameters<typeof run>) =>
      Array.isArray(dataset.value) ? refuse['~run'](dataset, config) : run(dataset, config),
  }) as never
}

/** Schema of a list. An error tells what is in it. */
export const array: typeof v.array = (item: v.GenericSchema) => {
  // What no option takes, to hear what the items are.
  const takes = takesOf(item, Symbol('no option'))
  return v.array(item, takes === undefined ? 'a list' : `a list, each ${takes}`) as never
}
