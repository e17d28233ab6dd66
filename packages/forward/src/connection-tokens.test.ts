import { expect, it } from 'vitest'
import { hasToken } from './connection-tokens.js'

it.each([
  ['close', true],
  ['Close', true],
  ['x, \tCLOSE \t', true],
  [',,close', true],
  [' close', true],
  ['x close', false],
  ['closed', false],
  ['\xa0close', false],
  ['', false],
])('%j holds close: %s', (value, holds) => {
  expect(hasToken(value, 'close')).toBe(holds)
})

it('takes time that grows with the list alone', () => {
  for (const blank of [' ', '\t', ' ,', ', \t'])
    for (const [before, behind] of [
      ['', ''],
      ['x', 'x'],
      [',', ','],
    ] as const)
      expect(hasToken(before + blank.repeat(200_000) + behind, 'close')).toBe(false)
})
