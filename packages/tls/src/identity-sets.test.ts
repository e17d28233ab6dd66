import { beforeAll, describe, expect, it } from 'vitest'
import { heapInUse } from '../../../test/kit/heap.js'
import { type X509Pair, x509SelfSigned } from '../../../test/kit/x509.js'
import { type Identity, readIdentity } from './identity.js'
import { IdentitySets } from './identity-sets.js'

const read = ({ chain, key }: X509Pair): Identity => readIdentity({ cert: chain, key }, 'pair', Date.now())

let ecdsa: X509Pair
let rsa: X509Pair
beforeAll(async () => {
  ecdsa = await x509SelfSigned({ names: ['a.test'] })
  rsa = await x509SelfSigned({ names: ['a.test'], keyType: 'rsa' })
})

describe('IdentitySets', () => {
  it('gives one set for the same identities in the same order, with the first of each kind of key', () => {
    const sets = new IdentitySets()
    const [one, two, other] = [read(rsa), read(ecdsa), read(ecdsa)]
    const set = sets.of([one, two, other])
    expect(set).toEqual([one, two])
    expect(sets.of([one, two])).toBe(set)
    expect(sets.of([one])).toBe(sets.of([one]))
    expect(new Set([set, sets.of([one]), sets.of([two, one]), sets.of([one, other])]).size).toBe(4)
    expect(() => sets.of([])).toThrow(RangeError)
  })

  it('holds no set that a lasting identity was in with one that has gone', async () => {
    const sets = new IdentitySets()
    const lasting = read(rsa)
    const gone = Array.from({ length: 3 }, () => new WeakRef(sets.of([lasting, read(ecdsa)])))
    await heapInUse()
    expect(gone.map((each) => each.deref())).toEqual([undefined, undefined, undefined])
    expect(sets.of([lasting])).toEqual([lasting])
  })
})
