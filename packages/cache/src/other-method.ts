import type { Reply } from '@sluice/core'
import type { CacheFetch, CacheRequest, Fetcher } from './cache-request.js'
import type { Engine } from './engine.js'
import { Alone } from './flights.js'
import { keepPost } from './keep-post.js'
import type { CacheKey } from './key.js'
import { passesAsItIs } from './no-answers.js'

/** RFC 9111 section 4: a request that is neither GET nor HEAD goes on, and what it has changed must not be served as it was. */
export async function otherMethod<T>(
  engine: Engine,
  request: CacheRequest,
  key: CacheKey,
  fetcher: Fetcher<T>,
  arg: T,
): Promise<Reply> {
  const { headers, method } = request
  const alone = new Alone(key.url)
  engine.flights.watch(alone)
  try {
    const requestTime = engine.now()
    const fetch: CacheFetch = { method, headers, shared: false, inform: true }
    const reply = await fetcher(fetch, arg)
    const times = { requestTime, responseTime: engine.now() }
    const { doomed } = alone
    const dropped = engine.changed(request, key.url, reply)
    // By now it has doomed itself: what it says of its own URL is newer than what it drops, but not than a purge that comes meanwhile.
    alone.doomed = false
    await dropped
    if (method !== 'POST' || doomed || alone.doomed || passesAsItIs(reply)) return reply
    return keepPost(engine, request, key, reply, times)
  } finally {
    engine.flights.unwatch(alone)
  }
}
