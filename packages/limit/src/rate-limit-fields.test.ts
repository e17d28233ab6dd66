import { expect, it } from 'vitest'
import { limitMember, stateMember } from './rate-limit-fields.js'

const take = () => ({ ok: true, limit: 1, remaining: 1, resetMs: 0 })

it.each([
  [{ take }, 7.9, '"a";q=7'],
  [{ take }, 1e30, '"a";q=999999999999999'],
  [{ take, policy: { quota: 5, window: 60 } }, 9, '"a";q=5;w=60'],
])('tells of %j with the limit %d the policy %s', (limiter, limit, text) => {
  expect(limitMember('a', limiter, limit)).toBe(text)
})

it.each([
  [{ ok: true, limit: 5, remaining: 3.9, resetMs: 0 }, '"a";r=3;t=0'],
  [{ ok: true, limit: 5, remaining: 1e21, resetMs: 1_001 }, '"a";r=999999999999999;t=2'],
  [{ ok: false, limit: 5, remaining: -1, resetMs: 90_000, retryAfterMs: 1 }, '"a";r=0;t=1'],
  [{ ok: false, limit: 5, remaining: 4, resetMs: 90_000 }, '"a";r=4;t=90'],
])('tells of the verdict %j the state %s', (verdict, text) => {
  expect(stateMember('a', verdict)).toBe(text)
})
