import { afterAll, beforeAll, describe } from 'vitest'
import { hasRedis, type RedisServer, redisClient, redisServer } from './redis-server.js'
import { skipUnless } from './skip.js'
import { trapUnhandled } from './trap-unhandled.js'

/** The Redis of a test file, and a client of it. */
export interface SharedRedis {
  readonly server: RedisServer
  readonly client: Awaited<ReturnType<typeof redisClient>>
  /** A beginning of keys that nobody else in the file has had. */
  prefix(): string
}

/** Tests over one Redis, which stands from the first to the last of them. Where it isn't installed they are skipped, and say so. */
export function withRedis(name: string, tests: (redis: SharedRedis) => void): void {
  describe.skipIf(skipUnless(hasRedis, 'redis-server is not installed'))(`${name}`, () => {
    trapUnhandled()
    let server: RedisServer
    let client: SharedRedis['client']
    let count = 0
    beforeAll(async () => {
      server = await redisServer()
      client = await redisClient(server)
    })
    afterAll(async () => {
      client.close()
      await server.close()
    })
    tests({
      get server() {
        return server
      },
      get client() {
        return client
      },
      prefix: () => `${++count}:`,
    })
  })
}
