export type { RedisClient, RedisSubscriber } from './redis-client.js'
export { type RedisStore, type RedisStoreOptions, redisStore } from './redis-store.js'
