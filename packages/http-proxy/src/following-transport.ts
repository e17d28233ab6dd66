import {
  type Body,
  type BodyInit,
  discard,
  type Outbound,
  type Outcome,
  ProxyError,
  type Reply,
  toBody,
} from '@sluice/core'
import type { Attempt, Timeouts, Transport } from '@sluice/forward'
import { get, type HeaderList, remove, set } from '@sluice/headers'
import type { Target } from '@sluice/upstream'
import { parseTarget } from './parse-target.js'
import type { ServerOptions } from './server-options.js'
import type { Targets } from './targets.js'

const redirectsAtMost = 21
const bodyAtMost = 10 * 1024 * 1024

/**
 * Follows redirects, up to 21 or as many as the option says. Bodies are kept up to 10 MB, since a 307 wants them again; beyond that the redirect goes to the
 * client. Credentials stay with the host that they were meant for.
 */
export class FollowingTransport implements Transport {
  readonly name = 'following'

  constructor(
    private readonly transport: Transport,
    private readonly targets: Targets,
    private readonly options: ServerOptions,
  ) {}

  accepts(): boolean {
    return true
  }

  async send(attempt: Attempt): Promise<Reply> {
    const kept = new KeptBody(attempt.out.body)
    const { followRedirects } = this.options
    const most = typeof followRedirects === 'number' ? followRedirects : undefined
    let { method, path, headers } = attempt.out
    let { target } = attempt
    let body: BodyInit = kept.first
    for (let count = 0; ; count++) {
      const out: Outbound = { method, path, headers: headers.slice(), body }
      const reply = await this.transport.send(new Hop(attempt, target, out))
      const next = redirected(reply, target, path)
      if (next === undefined || !kept.whole || count === most) return reply
      discard(reply)
      if (most === undefined && count >= redirectsAtMost)
        throw new ProxyError('http_protocol_error', { message: 'more than 21 redirects', cause: tooMany() })
      const drops =
        reply.status === 303 ? method !== 'HEAD' && method !== 'GET' : method === 'POST' && reply.status < 303
      if (drops) method = 'GET'
      body = drops ? null : kept.again
      headers = fieldsFor(headers, next, target, drops)
      if (!drops && body instanceof Uint8Array) headers = set(headers, 'Content-Length', String(body.length))
      path = next.pathname + next.search
      const parsed = parseTarget(next)
      if (parsed === undefined)
        throw new ProxyError('http_protocol_error', { message: `a redirect to ${next.protocol}` })
      // One's own certificate is shown to the host that it is meant for; whom to trust holds for all.
      const known = [target, attempt.target].find(({ url }) => new URL(url).origin === next.origin)
      if (known === undefined) {
        const { secure, agent } = this.options
        const ca = this.options.ca ?? attempt.target.tls?.ca
        target = this.targets.target(ca === undefined ? parsed : { ...parsed, ca }, { secure, agent })
      } else target = known
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** One request of several for the same client. */
class Hop implements Attempt {
  readonly timeouts: Timeouts

  constructor(
    private readonly attempt: Attempt,
    readonly target: Target,
    readonly out: Outbound,
  ) {
    this.timeouts = attempt.timeouts
  }

  inform(status: number, headers: HeaderList): void {
    this.attempt.inform(status, headers)
  }

  onClose<T>(fn: (end: Outcome, arg: T) => void, arg: T): void {
    this.attempt.onClose?.(fn, arg)
  }
}

/** A body that is kept as it flows. */
class KeptBody {
  readonly first: BodyInit
  whole = true
  private chunks: Uint8Array[] = []
  private bytes = 0

  constructor(given: BodyInit) {
    const body = toBody(given)
    if (body === null) {
      this.first = null
      return
    }
    this.whole = false
    this.first = {
      ...(body.length === undefined ? {} : { length: body.length }),
      pipe: (to) =>
        body.pipe({
          write: (chunk) => {
            this.bytes += chunk.length
            if (this.bytes <= bodyAtMost) this.chunks.push(chunk)
            else this.chunks = []
            return to.write(chunk)
          },
          end: (trailers) => {
            this.whole = this.bytes <= bodyAtMost
            to.end(trailers)
          },
          abort: (error) => to.abort(error),
          onDrain: (fn) => to.onDrain(fn),
        }),
      readable: () => body.readable(),
      cancel: (why) => body.cancel(why),
      onEnd: (fn, arg) => body.onEnd?.(fn, arg),
    } as Body
  }

  get again(): BodyInit {
    return this.first === null ? null : Buffer.concat(this.chunks)
  }
}

function redirected({ status, headers }: Reply, target: Target, path: string): URL | undefined {
  if (!(status === 301 || status === 302 || status === 303 || status === 307 || status === 308))
    return undefined
  const location = get(headers, 'location')
  if (location === undefined || target.url.startsWith('unix:')) return undefined
  try {
    return new URL(location, target.url + path)
  } catch {
    return undefined
  }
}

function fieldsFor(list: HeaderList, next: URL, target: Target, drops: boolean): HeaderList {
  const headers = list.slice()
  set(headers, 'Host', next.host)
  if (drops)
    for (let i = headers.length - 2; i >= 0; i -= 2)
      if (/^content-/i.test(headers[i] as string)) headers.splice(i, 2)
  const before = new URL(target.url)
  const downgraded = before.protocol === 'https:' && next.protocol !== 'https:'
  if (next.host !== before.host || downgraded)
    for (const name of ['authorization', 'cookie', 'proxy-authorization']) remove(headers, name)
  return headers
}

function tooMany(): Error {
  return Object.assign(new Error('Maximum number of redirects exceeded'), {
    code: 'ERR_FR_TOO_MANY_REDIRECTS',
  })
}
