import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Identity } from './identity.js'
import { IdentitySets } from './identity-sets.js'
import { NameTable } from './name-table.js'

function identity(keyType: string, ...names: string[]): Identity {
  const info = { names, keyType, notBefore: 0, notAfter: 1, fingerprint: '', where: '' }
  return new Identity(info, '', [], { pem: '' })
}

const tableOf = (...identities: Identity[]): NameTable => new NameTable(identities, new IdentitySets())

describe('NameTable', () => {
  const exact = identity('ecdsa', 'www.a.test')
  const wild = identity('rsa', '*.a.test', 'a.test')

  it('finds exact names and wildcards for one label', () => {
    const table = tableOf(exact, wild)
    expect(table.get('a.test')).toEqual([wild])
    expect(table.get('b.a.test')).toEqual([wild])
    for (const none of ['test', 'b.test', 'c.b.a.test', 'xa.test', ''])
      expect(table.get(none)).toBeUndefined()
  })

  it('puts kinds of key side by side, from a wildcard too, the earlier of one kind', () => {
    const later = identity('ecdsa', 'www.a.test', 'b.a.test')
    const table = tableOf(exact, later, wild)
    expect(table.get('www.a.test')).toEqual([exact, wild])
    expect(table.get('b.a.test')).toEqual([later, wild])
  })

  it('serves without a name what the first name of the first one is served by', () => {
    const [ecdsa, rsa] = [identity('ecdsa', 'a.test'), identity('rsa', 'a.test', 'b.test')]
    expect(tableOf(ecdsa, rsa).first).toEqual([ecdsa, rsa])
    expect(tableOf(rsa, ecdsa).first).toEqual([rsa, ecdsa])
    expect(tableOf(wild, exact).first).toEqual([wild])
    const nameless = identity('rsa')
    expect(tableOf(nameless, ecdsa).first).toEqual([nameless])
    expect(tableOf().first).toBeUndefined()
  })

  it('has one set for all names that the same ones serve', () => {
    const sets = new IdentitySets()
    const [ecdsa, rsa] = [
      identity('ecdsa', 'a.test', 'b.test'),
      identity('rsa', 'a.test', 'b.test', '*.c.test'),
    ]
    const [first, second] = [new NameTable([ecdsa, rsa], sets), new NameTable([ecdsa, rsa], sets)]
    expect(first.get('a.test')).toBe(first.get('b.test'))
    expect(second.get('a.test')).toBe(first.get('a.test'))
    expect(second.sets).toEqual(first.sets)
    expect(first.sets.size).toBe(2)
  })

  it('finds what a look through all of them finds', () => {
    const label = fc.constantFrom('a', 'b', 'c')
    const plain = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
    const names = fc.array(
      fc.oneof(
        plain,
        plain.map((name) => `*.${name}`),
      ),
      { maxLength: 4 },
    )
    const one = fc
      .tuple(fc.constantFrom('rsa', 'ecdsa', 'ed25519'), names)
      .map(([type, all]) => identity(type, ...new Set(all)))
    fc.assert(
      fc.property(fc.array(one, { maxLength: 6 }), fc.array(plain, { maxLength: 8 }), (identities, asked) => {
        const table = tableOf(...identities)
        for (const name of asked) expect(table.get(name)).toEqual(lookThrough(identities, name))
      }),
      { numRuns: 500 },
    )
  })
})

/** Label by label, with neither table nor order of looking. */
function lookThrough(identities: readonly Identity[], name: string): Identity[] | undefined {
  const asked = name.split('.')
  const covers = (pattern: string): boolean => {
    const labels = pattern.split('.')
    return (
      labels.length === asked.length &&
      labels.every((label, i) => label === asked[i] || (i === 0 && label === '*'))
    )
  }
  const by = (wild: boolean): Identity[] =>
    identities.filter(({ info }) => info.names.some((each) => each.startsWith('*') === wild && covers(each)))
  const found = new Map<string, Identity>()
  for (const each of [...by(false), ...by(true)])
    if (!found.has(each.info.keyType)) found.set(each.info.keyType, each)
  return found.size === 0 ? undefined : [...found.values()]
}
