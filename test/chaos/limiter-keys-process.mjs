// Fills a limiter with keys in a process of its own, and says what that has taken. Arguments: which limiter, how many keys.
import { clientKey, gcra, slidingWindow, tokenBucket } from '@sluice/limit'

const [, , kind, count] = process.argv
const keys = Number(count)
const makers = {
  gcra: () => gcra({ limit: 100, window: '1m', keys }),
  'token-bucket': () => tokenBucket({ rate: 100, keys }),
  'sliding-window': () => slidingWindow({ limit: 100, window: '1m', keys }),
}
const keyOf = clientKey()

/** Addresses of clients, IPv6 ones of a /64 each: the longest keys that addresses make. */
function keyNumber(i) {
  const groups = [0x2001, 0xdb8 + (i >>> 30), (i >>> 15) & 0x7fff, i & 0x7fff]
  return keyOf({
    client: { address: `${groups.map((group) => (group | 0x8000).toString(16)).join(':')}::1` },
  })
}

/** What the process holds, once what is no longer used is collected. */
function held() {
  gc()
  gc()
  return process.memoryUsage().rss
}

const idle = held()
const limiter = makers[kind]()
const made = held()
for (let i = 0; i < keys; i++) limiter.take(keyNumber(i))
// As the process stands: with what has not been collected yet.
const full = process.memoryUsage().rss
const { size } = limiter
// A second lot, of which each pushes another one out.
const before = process.cpuUsage()
for (let i = keys; i < 2 * keys; i++) limiter.take(keyNumber(i))
const { user, system } = process.cpuUsage(before)
process.send({
  size,
  sizeAfter: limiter.size,
  made: made - idle,
  full: full - idle,
  after: process.memoryUsage().rss - idle,
  perKey: (user + system) / keys,
})
