import type { HeaderList } from './header-list.js'

/** Rules for the fields of a message. They are applied in this order: `only`, `remove`, `set`, `default`, `append`. */
export interface FieldRuleSet {
  /** One value each, in place of the first of that name; the others of it go. */
  readonly set?: Readonly<Record<string, string>>
  /** Fields added beside those of their name. */
  readonly append?: Readonly<Record<string, string>>
  /** Values for fields that are not there. */
  readonly default?: Readonly<Record<string, string>>
  /** Names of fields that go. */
  readonly remove?: readonly string[]
  /** Names of the fields that stay; all others go. */
  readonly only?: readonly string[]
}

/** What happens to the fields of one name. */
interface Rule {
  /** As the rule writes it. */
  name: string
  drop: boolean
  set: string | undefined
  missing: string | undefined
}

/**
 * Rules made ready: a function that edits a list in one pass. It makes nothing anew, so it costs little for each message. Names
 * are found whatever their case; fields that no rule names stay byte for byte and in order.
 *
 * What the rules hold is put into the message as it is: see `isFieldName` and `isFieldValue`.
 * @param kept names that stay whatever `only` says, in lower case: without them the message would be another one
 */
export function fieldRules(rules: FieldRuleSet, kept: readonly string[] = []): (list: HeaderList) => void {
  const byName = new Map<string, Rule>()
  /** 1 where a rule has a name of that length and first letter: most fields are passed on by one look. */
  const suspects = new Uint8Array(64 * 32)
  const ruleOf = (name: string): Rule => {
    const lower = name.toLowerCase()
    let rule = byName.get(lower)
    if (rule === undefined) {
      rule = { name, drop: false, set: undefined, missing: undefined }
      byName.set(lower, rule)
      suspects[suspect(lower)] = 1
    }
    return rule
  }
  for (const name of [...(rules.only ?? []), ...(rules.only === undefined ? [] : kept)]) ruleOf(name)
  const others = rules.only !== undefined
  const allowed = new Set(byName.keys())
  const appended: string[] = []
  for (const name of rules.remove ?? []) ruleOf(name).drop = true
  for (const [name, value] of Object.entries(rules.set ?? {}))
    Object.assign(ruleOf(name), { name, set: value })
  for (const [name, value] of Object.entries(rules.default ?? {})) {
    const rule = ruleOf(name)
    rule.missing = value
    if (rule.set === undefined) rule.name = name
  }
  for (const [name, value] of Object.entries(rules.append ?? {})) appended.push(name, value)
  if (others) for (const [name, rule] of byName) if (!allowed.has(name)) rule.drop = true
  const adding = [...byName.values()].filter(({ set, missing }) => set !== undefined || missing !== undefined)
  /** In which pass each of `adding` was seen: a number spares a set for each message. */
  const seen = new Float64Array(adding.length)
  const numbers = new Map(adding.map((rule, i) => [rule, i]))
  const entries = new Map(
    [...byName].map(([name, rule]) => [name, { rule, number: numbers.get(rule) ?? -1 }] as const),
  )
  let pass = 0

  return function edit(list) {
    const { length } = list
    pass++
    let to = 0
    for (let i = 0; i < length; i += 2) {
      const name = list[i] as string
      const entry = suspects[suspect(name)] === 1 ? entries.get(name.toLowerCase()) : undefined
      if (entry === undefined) {
        if (others) continue
      } else {
        const { rule, number } = entry
        const { set } = rule
        if (set !== undefined) {
          if (seen[number] === pass) continue
          seen[number] = pass
          list[to++] = rule.name
          list[to++] = set
          continue
        }
        if (rule.drop) continue
        if (number !== -1) seen[number] = pass
      }
      if (to !== i) {
        list[to] = name
        list[to + 1] = list[i + 1] as string
      }
      to += 2
    }
    if (to !== length) list.length = to
    for (let i = 0; i < adding.length; i++) {
      if (seen[i] === pass) continue
      const { name, set, missing } = adding[i] as Rule
      list.push(name, (set ?? missing) as string)
    }
    for (let i = 0; i < appended.length; i += 2) list.push(appended[i] as string, appended[i + 1] as string)
  }
}

/** The bucket of a name: its length and its first letter, whatever the case. */
function suspect(name: string): number {
  return ((name.length & 63) << 5) | (name.charCodeAt(0) & 31)
}
