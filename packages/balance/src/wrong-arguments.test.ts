import { createUpstream } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import {
  balance,
  boundedLoad,
  first,
  preferZone,
  ring,
  slowStart,
  sticky,
  subset,
  targetFrom,
} from './index.js'

trapUnhandled()

const upstream = () => createUpstream({ name: 'api', targets: ['http://a', 'http://b'] })
/** As much of a context as is looked at before a target is found. */
const context = () => ({}) as never
const answer = () => ({ status: 200, headers: [], body: null })

describe('what is no policy', () => {
  it.each([
    ['boundedLoad', (policy: never) => boundedLoad(policy)],
    ['preferZone', (policy: never) => preferZone(policy, 'eu')],
    ['slowStart', (policy: never) => slowStart(policy, '5s')],
    ['sticky', (policy: never) => sticky(policy, { secret: 'a secret' })],
    ['subset', (policy: never) => subset(policy, { size: 1, seed: 0 })],
    ['balance', (policy: never) => balance(upstream(), policy)],
  ])('is refused by %s at once', (name, wrap) => {
    expect(() => wrap('first' as never)).toThrow(
      `${name}: got 'first' as its policy, takes a function such as roundRobin()`,
    )
    if (name !== 'balance')
      expect(() => wrap(undefined as never)).toThrow(`${name}: got nothing as its policy`)
  })
})

it('what is no upstream, key or function is refused at once', () => {
  expect(() => balance(['http://a'] as never)).toThrow(
    'balance: got a list as its upstream, takes what createUpstream()',
  )
  expect(() => ring('client' as never)).toThrow("ring.key: got 'client', takes a function that gives a text")
  expect(() => targetFrom('http://a' as never)).toThrow(
    "targetFrom: got 'http://a', takes a function that gives a URL",
  )
})

describe('a policy that gives', () => {
  it.each([
    ['a promise', async () => 'http://a'],
    ['a promise', () => Promise.reject(new Error('later'))],
    ['a function', () => first()],
    ['an object', () => ({ url: 'http://a' })],
    ['"http://a"', () => 'http://a'],
  ])('%s is told as the app’s fault, and nobody is leased', async (what, policy) => {
    const group = upstream()
    // With a gate there is a question to ask of each target.
    for (const gated of [false, true]) {
      if (gated) group.gate(() => true)
      await expect(balance(group, policy as never)(answer)(context())).rejects.toMatchObject({
        code: 'proxy_internal_error',
        message: `picking a target of upstream api failed: upstream api: got ${what}, takes one of its targets`,
      })
    }
    expect(group.all.map(({ leased }) => leased)).toEqual([0, 0])
  })

  it.each([null, undefined])('%s wants nobody asked: 503, and no word of when', async (nothing) => {
    await expect(balance(upstream(), (() => nothing) as never)(answer)(context())).rejects.toMatchObject({
      code: 'destination_unavailable',
      message: 'upstream api has a policy that gave none of its targets',
      retryAfter: undefined,
    })
  })
})
