// A process of the tests: asks a shared limiter of 100 as often as it is told to, and says how often it passed.
import { createClient } from '@redis/client'
import { redisLimiter } from '@sluice/redis'

const [, , path, prefix, times] = process.argv
const client = createClient({ socket: { path, tls: false } })
client.on('error', () => {})
await client.connect()
const limiter = redisLimiter(client, { limit: 100, window: '1h', prefix, timeout: '10s' })
const verdicts = await Promise.all(Array.from({ length: Number(times) }, () => limiter.take('a')))
process.send(verdicts.filter(({ ok }) => ok).length)
