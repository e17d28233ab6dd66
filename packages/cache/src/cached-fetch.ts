import { discard, ProxyError, type Reply } from '@sluice/core'
import { get, type HeaderList } from '@sluice/headers'
import { fault, quote } from '@sluice/options'
import type { CacheOptions } from './cache-options.js'
import type { CacheFetch, CacheRequest, Fetcher, Leaving } from './cache-request.js'
import { type Cache, createCache } from './create-cache.js'
import { type Fetch, type FetchCall, readCall } from './fetch-call.js'
import { isCache } from './is-cache.js'
import { fetchFailure, replyOfResponse } from './reply-of-response.js'
import { responseOfReply } from './response-of-reply.js'

/** As many redirects as `fetch` follows. */
const redirectsAtMost = 20

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Fields that are for one origin alone, and don't go with a redirect to another. */
const ofOrigin: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie', 'host'])

/**
 * `fetch` with a cache: the same signature, and answers from what is stored where they may be (RFC 9111), with `Cache-Status`. It is a shared cache:
 * what it stores is for every caller, so it is not for requests with the tokens of one user, unless their answers vary by them or aren't stored.
 *
 * `Request.cache` has its meaning: `no-store` passes by, `reload` and `no-cache` ask again (the former without validators), `force-cache` takes what is
 * stale, `only-if-cached` nothing else, and rejects where nothing is stored. Redirects of GET and HEAD are followed here, so that each step is stored by
 * its own fields. Those of other methods `fetch` follows itself, and nothing of what comes is stored. `signal` ends the waiting of its caller alone; a fetch that others may want goes on. Bodies come decoded, and are stored so.
 * Calls with `integrity`, those of GET with a body, and URLs that aren't of http, pass by.
 * @param fetch what fetches, such as the global one
 * @param options of a cache of its own, or a cache that `createCache` has made, to purge it
 * @returns a function that rejects with what `fetch` rejects with, and with the reason of `signal`
 * @throws TypeError that names the option, or says what it got for `fetch`
 */
export function cachedFetch(fetch: Fetch, options: CacheOptions | Cache = {}): Fetch {
  if (typeof fetch !== 'function')
    throw new TypeError(fault('cachedFetch', quote(fetch), 'a function such as fetch'))
  const engine = isCache(options) ? options : createCache(options)
  return async (input, init) => {
    const call = readCall(input, init)
    const { hasBody, integrity, method, mode, signal, url } = call
    const isSafe = method === 'GET' || method === 'HEAD'
    // What changes something goes through the engine all the same: it drops what is stored for the URL.
    if (url === undefined || integrity || (isSafe && (mode === 'no-store' || hasBody)))
      return fetch(input, init)
    signal?.throwIfAborted()
    try {
      return isSafe
        ? await follow(engine, fetch, call, url)
        : await once(engine, fetch, call, url, call.headers, false)
    } catch (error) {
      throw error instanceof ProxyError && error.cause !== undefined ? error.cause : error
    }
  }
}

/** One request after the other, until one is answered by no redirect. */
async function follow(engine: Cache, fetch: Fetch, call: FetchCall, first: URL): Promise<Response> {
  let url = first
  let { headers } = call
  for (let hops = 0; ; hops++) {
    const response = await once(engine, fetch, call, url, headers, hops > 0)
    const location = response.headers.get('location')
    if (!redirects.has(response.status) || location === null || call.redirect === 'manual') return response
    void response.body?.cancel()
    if (call.redirect === 'error')
      throw new TypeError('fetch failed', { cause: new Error('unexpected redirect') })
    if (hops >= redirectsAtMost)
      throw new TypeError('fetch failed', { cause: new Error('redirect count exceeded') })
    const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined
    if (next === undefined || !/^https?:$/.test(next.protocol))
      throw new TypeError('fetch failed', { cause: new Error(`a redirect to ${location}`) })
    if (next.origin !== url.origin)
      headers = headers.filter((_, i) => !ofOrigin.has((headers[i & ~1] as string).toLowerCase()))
    url = next
  }
}

async function once(
  engine: Cache,
  fetch: Fetch,
  call: FetchCall,
  url: URL,
  headers: HeaderList,
  redirected: boolean,
): Promise<Response> {
  const { method, mode, signal } = call
  let asked = false
  let elsewhere: Response | undefined
  const request = (at: URL): CacheRequest => ({
    method,
    scheme: at.protocol.slice(0, -1),
    authority: at.host,
    path: at.pathname + at.search,
    headers,
  })
  const fetcher: Fetcher<undefined> = async (wanted) => {
    asked = true
    const response = await bring(fetch, call, url, wanted)
    if (!response.redirected) return replyOfResponse(response)
    // Of the URL itself there was a redirect, which has changed it as any success would (RFC 9111 section 4.4).
    elsewhere = response
    return { status: 303, headers: [], body: null }
  }
  const reply = await inTime(
    async (leaving) => engine.handle(request(url), fetcher, undefined, undefined, leaving),
    signal,
  )
  if (elsewhere !== undefined)
    return fromElsewhere(engine, request(new URL(elsewhere.url)), elsewhere, signal)
  // `fetch` has no answer for that, where the mode asks so; who sets the field by hand gets the answer.
  if (mode === 'only-if-cached' && !asked && reply.status === 504 && get(reply.headers, 'age') === undefined)
    throw new TypeError('fetch failed', { cause: new Error('only-if-cached, and nothing is stored') })
  return responseOfReply(reply, { method, redirected, signal, url: withoutHash(url) })
}

/** What `fetch` has found behind redirects. It may have been asked for by the same method: nobody tells. */
async function fromElsewhere(
  engine: Cache,
  request: CacheRequest,
  response: Response,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const reply = replyOfResponse(response)
  await engine.invalidate(request, reply)
  return responseOfReply(reply, { method: request.method, redirected: true, signal, url: response.url })
}

async function bring(fetch: Fetch, call: FetchCall, url: URL, wanted: CacheFetch): Promise<Response> {
  const { input, method, mode, signal } = call
  const isSafe = method === 'GET' || method === 'HEAD'
  let response: Response
  try {
    if (isSafe) {
      const { body: _, cache: __, headers: ___, signal: ____, ...rest } = call.init
      const headers = pairs(wanted.headers, mode === 'reload')
      const own = wanted.shared || signal === undefined ? undefined : { signal }
      response = await fetch(url.href, {
        ...rest,
        ...own,
        method: wanted.method,
        headers,
        redirect: 'manual',
      })
    } else response = await fetch(input, call.init)
  } catch (error) {
    // A caller that left is no fault of the target's.
    if (!wanted.shared && signal?.aborted === true) throw error
    throw fetchFailure(error)
  }
  // An error response, and what browsers give for a redirect: nothing in it can be read.
  if (response.status < 200)
    throw fetchFailure(new TypeError('fetch failed', { cause: new Error('an opaque response') }))
  return response
}

/** @param whole the answer must come whole, so validators are left out */
function pairs(list: HeaderList, whole: boolean): [string, string][] {
  const found: [string, string][] = []
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    if (whole && /^if-(none-match|modified-since)$/i.test(name)) continue
    found.push([name, list[i + 1] as string])
  }
  return found
}

/** What `make` gives, unless the caller leaves before: then what it waits for in there hears so, too, and doesn't hold it any longer. */
function inTime(
  make: (leaving?: Leaving<undefined>) => Promise<Reply>,
  signal: AbortSignal | undefined,
): Promise<Reply> {
  if (signal === undefined) return make()
  return new Promise((resolve, reject) => {
    // It may have left between two steps, and isn't told again.
    if (signal.aborted) return reject(signal.reason as Error)
    // One listener for all of it: a signal may be that of many calls, and outlive them.
    let waiting: (() => void) | undefined
    const leave = (): void => {
      reject(signal.reason as Error)
      waiting?.()
    }
    signal.addEventListener('abort', leave, { once: true })
    const leaving: Leaving<undefined> = (_, fn) => {
      // It waits for one at a time.
      waiting = fn
      if (signal.aborted) fn()
    }
    make(leaving).then(
      (reply) => {
        signal.removeEventListener('abort', leave)
        if (signal.aborted) discard(reply)
        else resolve(reply)
      },
      (error: unknown) => {
        signal.removeEventListener('abort', leave)
        reject(error as Error)
      },
    )
  })
}

function withoutHash(url: URL): string {
  const { hash, href } = url
  return hash === '' ? href : href.slice(0, -hash.length)
}
