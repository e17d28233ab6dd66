import { randomUUID } from 'node:crypto'
import type { AcmeLock } from '@sluice/acme'
import debug from 'debug'
import type { Link } from './link.js'
import { reasonOf } from './reason.js'
import type { RedisClient } from './redis-client.js'
import { script } from './script.js'
import { linkOf, type RedisSharedOptions, sharedName } from './shared-options.js'

const log = debug('sluice:redis')

/** Takes a lock for `ttl` ms: one that is held, or `undefined` where somebody else has it. */
export type RedisLock = (name: string, ttl: number) => Promise<AcmeLock | undefined>

const ifMine = (then: string): string =>
  `if redis.call('GET',ARGV[1])==ARGV[2] then return ${then} end return 0`
const prolong = script(ifMine(`redis.call('PEXPIRE',ARGV[1],ARGV[3])`))
const giveBack = script(ifMine(`redis.call('DEL',ARGV[1])`))

/**
 * Locks that several processes share: each is one key of Redis, with a token that nobody else has and a time to live. It is as good as that time:
 * who takes longer than `ttl` without `extend` has lost it, and somebody else may be at work.
 *
 * `lock` and `extend` reject within `timeout` where Redis doesn't answer; what was taken then is given back, or ends by its time. `release` never
 * rejects: a lock that can't be given back ends by its time, and one that somebody else has got meanwhile is left to them.
 * @throws TypeError that names the option
 */
export function redisLock(client: RedisClient, options: RedisSharedOptions = {}): RedisLock {
  const { link, prefix } = linkOf(client, options, 'redisLock')
  return locksOn(link, prefix, 'redisLock')
}

/** The same over a link that others use as well. */
export function locksOn(link: Link, prefix: string, who: string): RedisLock {
  return async (name, ttl) => {
    const key = `${prefix}lock:${sharedName(name, who)}`
    const token = randomUUID()
    const release = async (): Promise<void> => {
      try {
        await link.run(giveBack, [key, token], undefined, true)
      } catch (error) {
        log('the lock %s ends by its time: %s', name, reasonOf(error))
      }
    }
    const ms = time(ttl, who)
    try {
      if ((await link.send(['SET', key, token, 'NX', 'PX', ms])) === null) return undefined
    } catch (cause) {
      // Redis may have granted it all the same, and then nobody would have it.
      void release()
      throw new Error(`${who}: the lock ${name} is not taken: ${reasonOf(cause)}`)
    }
    return {
      async extend(longer) {
        const args = [key, token, time(longer, who)]
        const mine = await link.run(prolong, args).catch((cause: unknown) => {
          throw new Error(`${who}: whether the lock ${name} stands is not known: ${reasonOf(cause)}`)
        })
        if (mine !== 1) log('the lock %s is lost', name)
        return mine === 1
      },
      release,
    }
  }
}

function time(ttl: number, who: string): string {
  if (Number.isFinite(ttl) && ttl > 0) return String(Math.ceil(ttl))
  throw new TypeError(`${who}: a lock is taken for a number of ms above 0, not ${ttl}`)
}
