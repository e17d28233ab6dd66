import { describe, expect, it } from 'vitest'
import {
  createTarget,
  createUpstream,
  hasLeftLine,
  hasOther,
  isOwnFault,
  isWithdrawn,
  leftLine,
  type Target,
} from './index.js'

const of = (...urls: string[]) => createUpstream({ name: 'x', targets: urls })

// Who is withdrawn, and who has others, in all states: target-group-model.test.ts.
describe('hasOther', () => {
  it('counts nobody that was tried', () => {
    const { all } = of('http://a', 'http://b', 'http://c')
    const [a, b, c] = all as [Target, Target, Target]
    expect([hasOther(a), hasOther(a, [b]), hasOther(a, [a, b, c])]).toEqual([true, true, false])
  })

  it('counts nobody that a gate keeps shut, and where one throws nobody at all', () => {
    const upstream = of('http://a', 'http://b')
    const [a] = upstream.all as [Target]
    const open = upstream.gate((target) => target === a)
    expect(hasOther(a)).toBe(false)
    open()
    expect(hasOther(a)).toBe(true)
    upstream.gate(() => {
      throw new Error('a bug')
    })
    expect(hasOther(a)).toBe(false)
  })

  it('is for a target in no upstream as for one alone, and that is never withdrawn', () => {
    const target = createTarget('http://a')
    expect([hasOther(target), isWithdrawn(target)]).toEqual([false, false])
    const own = { id: 'x', url: 'http://a', state: 'draining' } as unknown as Target
    expect([hasOther(own), isWithdrawn(own)]).toEqual([false, false])
  })

  it('shows no upstream to whoever prints a target', () => {
    const [a] = of('http://a', 'http://b').all
    expect(JSON.stringify(a)).not.toContain('http://b')
  })
})

it('an error by the line is known by its cause, and no word of the target', () => {
  const error = Object.assign(new Error('left', { cause: leftLine }), {
    name: 'ProxyError',
    source: 'upstream',
  })
  expect([hasLeftLine(error), isOwnFault(error)]).toEqual([true, true])
  expect([
    hasLeftLine(new Error('x')),
    hasLeftLine(undefined),
    hasLeftLine(502),
    hasLeftLine(leftLine),
  ]).toEqual([false, false, false, false])
})
