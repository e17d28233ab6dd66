import type { AcmeStorage } from '@sluice/acme'
import { reasonOf } from './reason.js'
import type { RedisClient } from './redis-client.js'
import { locksOn } from './redis-lock.js'
import { linkOf, type RedisSharedOptions, sharedName } from './shared-options.js'

/**
 * Where certificates, their keys and the account of `@sluice/acme` lie, for several processes or machines. All values are fields of one hash, so that
 * they can't be evicted one by one, and none has a time to live; what lies there is as safe as that Redis is.
 *
 * Everything is over within `timeout`: it is done, or it rejects with an error that says what wasn't, and never shows a value. A `set` or a `delete` that
 * rejects for want of an answer may have been done all the same.
 * @throws TypeError that names the option
 */
export function redisStorage(client: RedisClient, options: RedisSharedOptions = {}): AcmeStorage {
  const { link, prefix } = linkOf(client, options, 'redisStorage')
  const hash = `${prefix}values`

  const ask = async (command: string, what: string, ...args: string[]): Promise<unknown> => {
    try {
      return await link.send([command, hash, ...args])
    } catch (cause) {
      // Not the cause itself: clients put the command, and so the value, into their errors.
      throw new Error(`redisStorage: ${what} failed: ${reasonOf(cause)}`)
    }
  }
  const named = (key: string): string => sharedName(key, 'redisStorage')

  return {
    async get(key) {
      const found = await ask('HGET', `get of ${named(key)}`, key)
      return found === null ? undefined : textOf(found)
    },
    async set(key, value) {
      if (typeof value !== 'string') throw new TypeError(`redisStorage: ${named(key)} takes a text`)
      await ask('HSET', `set of ${named(key)}`, key, value)
    },
    async delete(key) {
      await ask('HDEL', `delete of ${named(key)}`, key)
    },
    async list(prefixed) {
      const keys = await ask('HKEYS', `list of ${prefixed}`)
      if (!Array.isArray(keys)) throw new Error('redisStorage: Redis gave no list of keys')
      return keys.map(textOf).filter((key) => key.startsWith(prefixed))
    },
    lock: locksOn(link, prefix, 'redisStorage'),
  }
}

function textOf(reply: unknown): string {
  if (typeof reply === 'string' || Buffer.isBuffer(reply)) return String(reply)
  throw new Error('redisStorage: Redis gave something else than a text')
}
