import type { Reply } from '@sluice/core'
import type { CacheRequest } from './cache-request.js'
import type { Engine } from './engine.js'
import type { Fill } from './fill.js'
import type { Doomable } from './flights.js'
import { type Kept, keep, type Times } from './keep.js'
import type { CacheKey } from './key.js'

/**
 * Stores the answer to a POST that says it is what a GET of its URL would get, and for how long (RFC 9110 section 9.3.3), while it goes
 * to the client. Unlike a fetch for others it ends with its client, and then isn't stored.
 */
export function keepPost(
  engine: Engine,
  request: CacheRequest,
  key: CacheKey,
  reply: Reply,
  times: Times,
): Reply {
  if (engine.isUnkeyed(request.headers)) return reply
  const kept = keep(engine.settings, { ...request, url: key.url }, reply, key, times, undefined)
  if (typeof kept === 'string') return reply
  const writer = engine.store.put(kept.key, kept.head, engine.store.mark())
  if (writer === undefined) return reply
  const fill = engine.fill(reply, writer, kept.head)
  const post = new Posted(engine, key, kept, fill)
  engine.flights.watch(post)
  fill.onEnd(ended, post)
  const body = fill.reader()
  body.onEnd?.(left, post)
  fill.start()
  return { ...reply, body }
}

/** One on its way into the store. */
class Posted implements Doomable {
  next: Doomable | undefined = undefined
  previous: Doomable | undefined = undefined

  constructor(
    readonly engine: Engine,
    readonly key: CacheKey,
    readonly kept: Kept,
    readonly fill: Fill,
  ) {}

  get url(): string {
    return this.key.url
  }

  get head() {
    return this.kept.head
  }

  doom(): void {
    this.fill.doom()
  }
}

function ended(_: Error | undefined, stored: boolean, post: Posted): void {
  post.engine.flights.unwatch(post)
  if (stored) void post.engine.markers.note(post.key, post.kept)
}

/** The request was its client's alone, and is over with it. */
function left(error: Error | undefined, { fill }: Posted): void {
  if (error !== undefined && !fill.isOver) fill.doom()
}
