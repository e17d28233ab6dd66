import type { HeaderList } from '@sluice/headers'

/** A function with the signature of the global `fetch`. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** With what Node's types leave out. */
export type FetchInit = RequestInit & { cache?: string }

/** What a call of `fetch` asks for, read from its arguments without taking a body. */
export interface FetchCall {
  readonly input: string | URL | Request
  readonly init: FetchInit
  /** `undefined` where there is none that the cache knows: `data:`, or one that `fetch` refuses. */
  readonly url: URL | undefined
  readonly method: string
  readonly headers: HeaderList
  readonly hasBody: boolean
  readonly signal: AbortSignal | undefined
  readonly mode: string
  readonly redirect: string
  /** The answer is checked against a digest, which only whoever reads it from the network can. */
  readonly integrity: boolean
}

/** The directives that stand for a mode of `Request.cache`, where one has any. */
const directives: Readonly<Record<string, string>> = {
  'no-cache': 'no-cache',
  reload: 'no-cache',
  'force-cache': 'max-stale',
  'only-if-cached': 'only-if-cached, max-stale',
}

/** Reads the arguments of `fetch`: what `init` says goes before what a `Request` says. */
export function readCall(input: string | URL | Request, init: FetchInit = {}): FetchCall {
  const from = typeof input === 'object' && 'url' in input ? input : undefined
  const mode = init.cache ?? from?.cache ?? 'default'
  const fields = new Headers(init.headers ?? from?.headers)
  const directive = directives[mode]
  const headers: HeaderList = []
  for (const [name, value] of fields)
    if (directive === undefined || name !== 'cache-control') headers.push(name, value)
  if (directive !== undefined) headers.push('cache-control', directive)
  const given = init.method ?? from?.method ?? 'GET'
  // Of these `fetch` makes capitals; others are as they are written.
  const method = /^(get|head|post|put|delete|options)$/i.test(given) ? given.toUpperCase() : given
  return {
    input,
    init,
    url: urlOf(from?.url ?? String(input)),
    method,
    headers,
    hasBody: (init.body ?? from?.body ?? null) !== null,
    signal: (init.signal === undefined ? from?.signal : init.signal) ?? undefined,
    mode,
    redirect: init.redirect ?? from?.redirect ?? 'follow',
    integrity: Boolean(init.integrity ?? from?.integrity),
  }
}

function urlOf(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // `fetch` refuses those with a name and a password.
  if (url === undefined || url.username !== '' || url.password !== '') return undefined
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined
}
