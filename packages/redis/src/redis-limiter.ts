import {
  gcraEntries,
  gcraPolicy,
  gcraVerdict,
  type LimitPolicy,
  limitCost,
  limitKey,
  tokenBucket,
  type Verdict,
} from '@sluice/limit'
import { type Duration, integer, parse, positiveDuration, that, v } from '@sluice/options'
import debug from 'debug'
import { Link } from './link.js'
import { reasonOf } from './reason.js'
import { isRedisClient, type RedisClient } from './redis-client.js'
import { script } from './script.js'

const log = debug('sluice:redis')

/** Options of {@link redisLimiter}. */
export interface RedisLimiterOptions {
  /** Units for each key in each window, in the long run, over all proxies together. */
  limit: number
  /** How long a window is: `'1m'`. */
  window: Duration
  /** Units at once. Default `limit`. */
  burst?: number
  /** Proxies that share the limit: where Redis is gone, each one goes on with that share of it. Default 2. */
  instances?: number
  /** What all keys begin with, before a NUL. Limiters of the same prefix share what they count: give each limit one of its own. Default `'sluice:limit:'`. */
  prefix?: string
  /** How long an answer of Redis may take; then it is this proxy's share that counts. Default 100 ms. */
  timeout?: Duration
  /** How long Redis is left alone after three failures in a row: until then the share counts at once. Default 1 s. */
  pause?: Duration
  /** Keys that are held at most for the share. Default 100000. */
  keys?: number
  /** Monotonic milliseconds, for `pause` and the share: the limit itself goes by the clock of Redis. Default `performance.now`. */
  clock?: () => number
}

/** A limiter that several proxies share. Never throws or rejects for Redis. */
export interface RedisLimiter {
  take(key: string, cost?: number): Promise<Verdict>
  readonly policy: LimitPolicy
}

const schema = v.strictObject({
  ...gcraEntries,
  instances: v.optional(integer(1), 2),
  prefix: v.optional(v.string(), 'sluice:limit:'),
  timeout: v.optional(positiveDuration(), 100),
  pause: v.optional(positiveDuration(), 1_000),
  keys: v.optional(integer(1, 10_000_000), 100_000),
  clock: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function'),
    () => () => performance.now(),
  ),
})

const takesClient = that<RedisClient>(
  isRedisClient,
  'a client of @redis/client, or another with sendCommand()',
)

/**
 * What `gcraVerdict` does, by the clock of Redis: key, interval in ms, burst, cost. The value is when all units are back, in ms since 1970, and it lives until
 * then. Gives how long that was away before, from which the proxy reads the same verdict. As in memory a key is at worst used up where the clock was
 * set back, or is that of another Redis after a failover.
 */
const take = script(`
local key,interval,burst,cost=ARGV[1],tonumber(ARGV[2]),tonumber(ARGV[3]),tonumber(ARGV[4])
local t=redis.call('TIME')
local now=t[1]*1000+t[2]/1000
local function text(n) return string.format('%.17g',n) end
local room=burst*interval
local held=math.max(0,(tonumber(redis.call('GET',key) or '') or 0)-now)
local debt=math.min(held,room)
local after=debt+cost*interval
local passes=after<=room+math.min(0.001,math.min(cost,1)*interval/2)
if passes and cost>0 or held>room+0.001 then
  local left=passes and after or debt
  redis.call('SET',key,text(now+left),'PX',string.format('%.0f',math.max(1,math.ceil(left))))
end
return text(debt)
`)

/**
 * One limit over several proxies: GCRA, counted by a script in Redis, in one round trip and by the clock of Redis, so that those of the proxies need not
 * agree.
 *
 * Where Redis doesn't answer within `timeout`, or with an error, each proxy counts by itself, with its share of the limit: `limit / instances`. So all
 * of them together still let about the limit pass, and nothing fails; what comes to one proxy more than to the others is refused earlier there. It is
 * over with the first answer.
 * @throws TypeError that names the option
 */
export function redisLimiter(client: RedisClient, options: RedisLimiterOptions): RedisLimiter {
  const path = 'redisLimiter'
  const { limit, window, burst = limit, instances, prefix, keys, ...link } = parse(schema, options, path)
  const atOnce = Math.max(1, Math.floor(burst / instances))
  const share = tokenBucket({
    rate: limit / instances,
    per: window,
    burst: atOnce,
    keys,
    clock: link.clock,
  })
  const over = new Link(parse(takesClient, client, `${path}.client`), link)
  const rate = { interval: window / limit, burst }

  const shared = async (key: string, cost: number): Promise<Verdict | undefined> => {
    try {
      // Clients send what keys are made of, and no field has a NUL: so none names a key of a limiter whose prefix goes on from this one.
      const args = [`${prefix}\0${key}`, String(rate.interval), String(burst), String(cost)]
      const debt = Number(String(await over.run(take, args)))
      if (debt >= 0 && debt <= burst * rate.interval) return gcraVerdict(rate, debt, cost)
      log('a limit is counted here: Redis gave no number')
    } catch (error) {
      if (log.enabled) log('a limit is counted here: %s', reasonOf(error))
    }
    return undefined
  }

  return {
    policy: gcraPolicy(rate),
    async take(key, cost = 1) {
      const held = limitKey(key)
      limitCost(cost)
      // What costs more than the share takes all of it: else it could never pass here.
      return (await shared(held, cost)) ?? share.take(held, cost > burst ? cost : Math.min(cost, atOnce))
    },
  }
}
