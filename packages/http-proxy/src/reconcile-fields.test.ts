import { describe, expect, it } from 'vitest'
import { type FieldObject, reconcile, toFieldObject } from './reconcile-fields.js'

describe('a field with the name of what all objects have', () => {
  const list = ['Constructor', 'a', 'X', '1']

  it('has its own value alone', () => {
    expect(toFieldObject(list)).toEqual({ constructor: 'a', x: '1' })
    expect(Object.entries(toFieldObject([...list, 'constructor', 'b']))).toEqual([
      ['constructor', 'a, b'],
      ['x', '1'],
    ])
  })

  it('goes where it is taken away, comes where it is set, and stays else', () => {
    const before = toFieldObject(list)
    expect(reconcile(list, { x: '1' }, before)).toEqual(['X', '1'])
    expect(reconcile(list, { ...before, x: '2' }, before)).toEqual(['Constructor', 'a', 'X', '2'])
    const set = { x: '1', constructor: 'c' } as unknown as FieldObject
    expect(reconcile(['X', '1'], set, { x: '1' })).toEqual(['X', '1', 'constructor', 'c'])
  })
})
