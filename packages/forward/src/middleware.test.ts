import type { Context } from '@sluice/core'
import { expect, it } from 'vitest'
import { forward } from './index.js'

it('says where it stands, to a chain without balance', () => {
  const ctx = { out: { method: 'GET', path: '/', headers: [], body: null } } as unknown as Context
  expect(() => forward()(ctx as never)).toThrow('forward() found no target: it stands inside of balance()')
})
