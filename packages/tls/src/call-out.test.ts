import { describe, expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { callOut } from './call-out.js'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('callOut', () => {
  trapUnhandled()
  const warnings = warningsOf('SluiceWarning')

  it('hands over what there is to hear, to whoever there is', () => {
    const heard: unknown[] = []
    callOut('mine', (...args: readonly number[]) => void heard.push(...args), 1, 2)
    callOut('nobody', undefined)
    expect(heard).toEqual([1, 2])
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('mine')
      },
    ],
    ['rejects', () => Promise.reject(new Error('mine'))],
  ])('warns of one that %s', async (_, fn) => {
    callOut('onFault', fn)
    await turn()
    expect(warnings).toEqual(['onFault threw: mine'])
  })

  it('warns of what is no error', async () => {
    callOut('onFault', () => Promise.reject('text'))
    await turn()
    expect(warnings).toEqual(['onFault threw: text'])
  })
})
