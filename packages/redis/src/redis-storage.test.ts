import { acmeStorageSuite } from '../../../test/kit/acme-storage-suite.js'
import { redisClient } from '../../../test/kit/redis-server.js'
import { withRedis } from '../../../test/kit/with-redis.js'
import { redisStorage } from './redis-storage.js'

withRedis('redisStorage', (redis) => {
  acmeStorageSuite('redisStorage', async () => {
    const second = await redisClient(redis.server)
    const options = { prefix: redis.prefix(), timeout: '10s' as const }
    return {
      storage: redisStorage(redis.client, options),
      other: redisStorage(second, options),
      close: () => second.close(),
    }
  })
})
