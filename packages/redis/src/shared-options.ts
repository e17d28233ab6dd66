import { type Duration, fault, parse, positiveDuration, quote, that, v } from '@sluice/options'
import { Link } from './link.js'
import { isRedisClient, type RedisClient } from './redis-client.js'

/** Options of {@link redisStorage} and {@link redisLock}. */
export interface RedisSharedOptions {
  /** What all keys begin with. Who uses the same prefix shares. Default `'sluice:acme:'`. */
  prefix?: string
  /** How long an answer of Redis may take; then what was asked for rejects. Default 5s. */
  timeout?: Duration
  /** How long Redis is left alone after three failures in a row: until then everything rejects at once. Default 1s. */
  pause?: Duration
  /** Monotonic milliseconds. Default `performance.now`. */
  clock?: () => number
}

const takesClient = that<RedisClient>(
  isRedisClient,
  'a client of @redis/client, or another with sendCommand()',
)
const schema = v.strictObject({
  prefix: v.optional(v.string(), 'sluice:acme:'),
  timeout: v.optional(positiveDuration(), 5_000),
  pause: v.optional(positiveDuration(), 1_000),
  clock: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function'),
    () => () => performance.now(),
  ),
})

/**
 * A client held to a time, and what its keys begin with.
 * @throws TypeError that names the option below `path`
 */
export function linkOf(
  client: RedisClient,
  options: RedisSharedOptions,
  path: string,
): { link: Link; prefix: string } {
  parse(takesClient, client, `${path}.client`)
  const { prefix, ...settings } = parse(schema, options, path)
  return { link: new Link(client, settings), prefix }
}

/**
 * The name of a lock or a value, as it came.
 * @throws TypeError when it isn't one by the rules of `AcmeStorage`
 */
export function sharedName(name: string, who: string): string {
  if (
    typeof name === 'string' &&
    /^[\w.*-]+(?:\/[\w.*-]+)*$/.test(name) &&
    !/(?:^|\/)\.\.?(?:\/|$)/.test(name)
  )
    return name
  throw new TypeError(
    fault(
      who,
      quote(name),
      "a path such as 'certificates/a.test/ecdsa': letters, digits, '.', '-', '_', '*' and '/'",
    ),
  )
}
