import { describe, expect, it } from 'vitest'
import { concurrencyLimit } from './concurrency-limit.js'
import { gcra } from './gcra.js'
import { rateLimit } from './rate-limit.js'
import { resolveRateLimit } from './rate-limit-options.js'

const limiter = gcra({ limit: 1, window: '1s' })
const at = 'guard.rateLimit'

describe('resolveRateLimit', () => {
  it.each([
    [
      {},
      [
        `${at}.limit: got nothing, takes a whole number, 1 or more: it is required`,
        `${at}.window: got nothing`,
      ],
    ],
    [{ limit: 0, window: 'x' }, [`${at}.limit: got 0`, `${at}.window: got 'x'`]],
    [{ limit: 1, window: 0 }, [`${at}.window: got 0, takes 1ms or more`]],
    [
      { limiter, limit: 3, burst: 2, keys: 9, algorithm: 'gcra' },
      ['limit', 'burst', 'keys', 'algorithm'].map((name) => `${at}.${name}: got `),
    ],
    [{ limiter: {} }, [`${at}.limiter: got {}, takes a limiter: an object with take(key, cost)`]],
    [
      { limit: 1, window: '1m', algorithm: 'sliding-window', burst: 3 },
      [`${at}.burst: got 3, takes nothing with algorithm 'sliding-window'`],
    ],
    [
      { limit: 1, window: '1m', algorithm: 'leaky-bucket' },
      [`${at}.algorithm: got 'leaky-bucket', takes 'gcra', 'sliding-window'`],
    ],
    [{ limit: 1, window: '1m', by: 'ip' }, [`${at}.by: got 'ip', takes 'address', 'route', 'header:name'`]],
    [{ limit: 1, window: '1m', by: 'header:' }, [`${at}.by: got 'header:'`]],
    [{ limit: 1, window: '1m', by: 'header:a b' }, [`${at}.by: got 'header:a b'`]],
    [
      { limit: 1, window: '1m', prefix: { ipv6: 200, ipv5: 1 } },
      [`${at}.prefix.ipv6: got 200`, `${at}.prefix.ipv5: unknown option`],
    ],
    [
      { limit: 1, window: '1m', cost: -1 },
      [`${at}.cost: got -1, takes a number from 0 on, or a function of the context`],
    ],
    [{ limit: 1, window: '1m', name: 'a"b' }, [`${at}.name: got 'a"b', takes up to 64 visible characters`]],
    [{ limit: 1, window: '1m', fields: 'yes' }, [`${at}.fields: got 'yes', takes true or false`]],
    [{ limit: 1, window: '1m', widnow: 3 }, [`${at}.widnow: unknown option, did you mean window?`]],
    [3, [`${at}: got 3, takes {`]],
  ])('names what is wrong in %j', (options, faults) => {
    for (const fault of faults) expect(() => resolveRateLimit(options as never, at)).toThrow(fault)
  })

  it('takes options that were read before', async () => {
    const { parse } = await import('@sluice/options')
    const { rateLimitOptions } = await import('./rate-limit-options.js')
    for (const options of [
      { limit: 1, window: '1m' },
      { limiter },
      { limit: 1, window: 5, prefix: { ipv6: 56 } },
    ])
      expect(() => resolveRateLimit(parse(rateLimitOptions, options, at) as never, at)).not.toThrow()
  })
})

const none = (): string => ''

describe('rateLimit', () => {
  it.each<[unknown, object, string[]]>([
    [limiter, {}, ['rateLimit.key: got nothing']],
    [limiter, { key: 'address' }, ["rateLimit.key: got 'address', takes a function of the context"]],
    [[], { key: none }, ['rateLimit.limiter: got [], takes a limiter']],
    [[limiter, 3], { key: none }, ['rateLimit.limiter: got [']],
    [undefined, { key: none }, ['rateLimit.limiter: got nothing']],
    [
      limiter,
      { key: none, cost: Number.NaN, name: '' },
      ['rateLimit.cost: got NaN', "rateLimit.name: got ''"],
    ],
  ])('names what is wrong in %j and %j', (given, options, faults) => {
    for (const fault of faults) expect(() => rateLimit(given as never, options as never)).toThrow(fault)
  })
})

describe('concurrencyLimit', () => {
  it.each([
    [{}, ['concurrencyLimit.limit: got nothing, takes a whole number, 1 or more: it is required']],
    [{ limit: 0 }, ['concurrencyLimit.limit: got 0']],
    [{ limit: 1, by: 'ip', name: 3 }, ["concurrencyLimit.by: got 'ip'", 'concurrencyLimit.name: got 3']],
    [{ limit: 1, key: 'a' }, ["concurrencyLimit.key: got 'a', takes a function of the context"]],
    [
      { limit: 1, key: () => '', by: 'route' },
      ['concurrencyLimit.key: got [Function: key], takes nothing beside by'],
    ],
  ])('names what is wrong in %j', (options, faults) => {
    for (const fault of faults) expect(() => concurrencyLimit(options as never)).toThrow(fault)
  })
})
