import type { Reply } from '@sluice/core'
import type { CacheRequest, Fetcher } from './cache-request.js'
import type { Engine } from './engine.js'
import { Alone } from './flights.js'
import type { Plan } from './plan.js'
import type { EntryHead } from './store.js'

/**
 * A HEAD goes on, and what its answer tells of a stored response goes for that one too (RFC 9111 section 4.3.5).
 * @param head of what is stored
 */
export async function headRequest<T>(
  engine: Engine,
  { entryKey, key, vary }: Pick<Plan, 'key' | 'entryKey' | 'vary'>,
  head: EntryHead,
  request: CacheRequest,
  fetcher: Fetcher<T>,
  arg: T,
): Promise<Reply> {
  const { headers, method } = request
  const alone = new Alone(key.url)
  engine.flights.watch(alone)
  try {
    const requestTime = engine.now()
    const reply = await fetcher({ method, headers, shared: false, inform: true }, arg)
    const times = { requestTime, responseTime: engine.now() }
    // What came of before a purge says nothing of what is there now, nor does an error.
    if (reply.status < 500 && !alone.doomed && engine.mayRenew(request, reply))
      await engine.headCame(entryKey, head, reply, times, vary)
    return reply
  } finally {
    engine.flights.unwatch(alone)
  }
}
