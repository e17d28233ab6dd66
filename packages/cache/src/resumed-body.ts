import { type Body, discard, isBody, RelayBody, type Reply, type Spent, toBody } from '@sluice/core'
import { get } from '@sluice/headers'
import type { CacheRequest, Fetcher } from './cache-request.js'
import type { Engine } from './engine.js'
import { partOf } from './policy/partial.js'
import { strongTag } from './policy/strong-validator.js'
import { sliceBody } from './slice-body.js'
import type { Entry } from './store.js'

/**
 * A stored body that its store may lose while it is given: a Redis that dies, a damaged file. What is missing then comes from the target.
 *
 * stored ──fails──▶ waiting for the rest ──it is of the same representation──▶ the target's ──end──▶ ended
 *                          └─ there is none, or it is of another one ─▶ failed
 */
class ResumedBody extends RelayBody {
  private resumed = false
  private given = 0

  constructor(
    source: Body,
    private readonly rest: (given: number, why: Error) => Promise<Body | undefined>,
  ) {
    super(source)
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    if (this.ended) return false
    this.given += chunk.length
    return this.push(chunk, spent)
  }

  end(): void {
    const { given, length } = this
    if (length === undefined || given === length) this.finish()
    else this.fail(new Error(`the body has ${given} bytes, where ${length} were to come`))
  }

  override abort(error: Error): void {
    if (this.ended) return
    if (this.resumed) return this.fail(error)
    this.resumed = true
    this.drain = undefined
    this.rest(this.given, error).then(
      (body) => {
        if (body === undefined) return this.fail(error)
        this.source = body
        if (this.ended) body.cancel(error)
        else body.pipe(this)
      },
      () => this.fail(error),
    )
  }
}

/**
 * An answer out of a store whose body goes on from the target where the store loses it. A strong entity tag has to say that the target's is
 * the same to the byte (RFC 9111 section 3.4); else it breaks off there, as a body does that never was whole.
 */
export function withRest<T>(
  reply: Reply | undefined,
  entry: Entry,
  engine: Engine,
  request: CacheRequest,
  fetcher: Fetcher<T>,
  arg: T,
): Reply | undefined {
  // What is in memory can't be lost, and fields after a body come with the body alone.
  if (reply === undefined || entry.bytes !== undefined || entry.trailers !== undefined) return reply
  const { body, status } = reply
  if (!isBody(body)) return reply
  const { headers: stored } = entry.head
  const tag = strongTag(stored)
  const range = status === 206 ? partOf(reply) : { first: 0, last: entry.size - 1 }
  // Several ranges are one body of which the target has no part.
  if (tag === undefined || range === undefined || !(status === 200 || status === 206)) return reply
  const { last } = range

  const rest = async (given: number, why: Error): Promise<Body | undefined> => {
    engine.store.failed('body', why)
    const from = range.first + given
    if (from > last) return undefined
    const more = ['Range', `bytes=${from}-${last}`, 'If-Range', tag]
    const headers = engine.fetchFields(request.headers, more)
    const came = await fetcher({ method: 'GET', headers, shared: true, inform: false }, arg)
    const coding = get(came.headers, 'content-encoding')
    if (strongTag(came.headers) === tag && coding === get(stored, 'content-encoding')) {
      if (came.status === 200) return toBody(sliceBody(came.body, from, last + 1)) ?? undefined
      const part = came.status === 206 ? partOf(came) : undefined
      if (part?.first === from && part.last === last)
        return toBody(sliceBody(came.body, 0, last + 1 - from)) ?? undefined
    }
    discard(came)
    return undefined
  }
  return { ...reply, body: new ResumedBody(body, rest) }
}
