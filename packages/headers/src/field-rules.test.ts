import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { append, type FieldRuleSet, fieldRules, has, remove, set } from './index.js'

const applied = (rules: FieldRuleSet, list: string[], kept?: string[]): string[] => {
  fieldRules(rules, kept)(list)
  return list
}

describe('rules of fields', () => {
  const list = (): string[] => ['Host', 'a', 'X-A', '1', 'x-b', '2', 'x-a', '3']

  it.each<[FieldRuleSet, string[]]>([
    [{}, list()],
    [{ set: { 'X-a': '9' } }, ['Host', 'a', 'X-a', '9', 'x-b', '2']],
    [{ set: { New: '9' } }, [...list(), 'New', '9']],
    [{ append: { 'X-A': '9' } }, [...list(), 'X-A', '9']],
    [{ default: { 'X-A': '9', New: '8' } }, [...list(), 'New', '8']],
    [{ remove: ['X-A', 'none'] }, ['Host', 'a', 'x-b', '2']],
    [{ only: ['X-B'] }, ['x-b', '2']],
    [{ only: [] }, []],
    [{ only: ['x-b'], set: { 'X-A': '9' }, default: { New: '8' } }, ['X-A', '9', 'x-b', '2', 'New', '8']],
    [{ only: ['x-a'], default: { 'X-B': '9' } }, ['X-A', '1', 'x-a', '3', 'X-B', '9']],
    [{ remove: ['x-a'], append: { 'X-A': '9' } }, ['Host', 'a', 'x-b', '2', 'X-A', '9']],
    [{ remove: ['x-a'], default: { 'X-A': '9' } }, ['Host', 'a', 'x-b', '2', 'X-A', '9']],
    [{ set: { 'X-A': '9' }, append: { 'X-A': '8' } }, ['Host', 'a', 'X-A', '9', 'x-b', '2', 'X-A', '8']],
  ])('%o', (rules, to) => {
    expect(applied(rules, list())).toEqual(to)
  })

  it('keep what must stay from an allow-list, and nothing of it by themselves', () => {
    expect(applied({ only: ['x-b'] }, list(), ['host'])).toEqual(['Host', 'a', 'x-b', '2'])
    expect(applied({ remove: ['x-b'] }, list(), ['host'])).toEqual(['Host', 'a', 'X-A', '1', 'x-a', '3'])
  })

  it('are the same each time that they are applied', () => {
    const edit = fieldRules({ set: { 'X-A': '9' }, default: { New: '8' } })
    for (let i = 0; i < 3; i++) {
      const one = list()
      edit(one)
      expect(one).toEqual(['Host', 'a', 'X-A', '9', 'x-b', '2', 'New', '8'])
      const none: string[] = []
      edit(none)
      expect(none).toEqual(['X-A', '9', 'New', '8'])
    }
  })

  it('do what the functions of the list do one by one', () => {
    const name = fc.constantFrom('Host', 'X-A', 'x-a', 'X-B', 'Y-A', 'Via', `${'x'.repeat(64)}y`)
    const record = fc.dictionary(name, fc.string({ maxLength: 3 }), { maxKeys: 3 }).map(distinct)
    const names = fc.array(name, { maxLength: 3 })
    const rules = fc.record<FieldRuleSet>(
      { set: record, append: record, default: record, remove: names, only: names },
      { requiredKeys: [] },
    )
    const fields = fc.array(fc.tuple(name, fc.string({ maxLength: 3 })), { maxLength: 8 })
    fc.assert(
      fc.property(rules, fields, (given, pairs) => {
        const sorted = (flat: readonly string[]): string[] => pairsOf(flat).sort()
        expect(sorted(applied(given, pairs.flat()))).toEqual(sorted(oneByOne(given, pairs.flat())))
      }),
    )
  })

  it('leave all others in place, byte for byte', () => {
    const field = fc.tuple(fc.constantFrom('A', 'b', 'C-d', 'X-Set', 'x-gone'), fc.string())
    fc.assert(
      fc.property(fc.array(field), (pairs) => {
        const result = applied({ set: { 'X-Set': '1' }, remove: ['X-Gone'] }, pairs.flat())
        const others = pairs.filter(([each]) => !/^x-/i.test(each)).flat()
        expect(result.filter((_, i) => !/^x-/i.test(result[i - (i % 2)] as string))).toEqual(others)
      }),
    )
  })
})

/** Names once, whatever their case. */
function distinct(record: Record<string, string>): Record<string, string> {
  const seen = new Set<string>()
  return Object.fromEntries(
    Object.entries(record).filter(([name]) => {
      const lower = name.toLowerCase()
      return !seen.has(lower) && seen.add(lower)
    }),
  )
}

function pairsOf(flat: readonly string[]): string[] {
  return flat.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${flat[i + 1]}`] : []))
}

function oneByOne(rules: FieldRuleSet, list: string[]): string[] {
  const { only } = rules
  const lower = only?.map((each) => each.toLowerCase())
  let all = list.filter((_, i) => lower?.includes((list[i - (i % 2)] as string).toLowerCase()) ?? true)
  for (const name of rules.remove ?? []) all = remove(all, name)
  for (const [name, value] of Object.entries(rules.set ?? {})) all = set(all, name, value)
  for (const [name, value] of Object.entries(rules.default ?? {}))
    if (!has(all, name.toLowerCase())) all = append(all, name, value)
  for (const [name, value] of Object.entries(rules.append ?? {})) all = append(all, name, value)
  return all
}
