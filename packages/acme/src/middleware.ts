import type { Context, Handler, Middleware, Reply } from '@sluice/core'
import type { Acme } from './acme.js'

const folder = '/.well-known/acme-challenge/'

/**
 * Answers HTTP-01 challenges (RFC 8555 section 8.3), which authorities ask for by plain HTTP on port 80. It stands outside of whatever redirects to
 * https or asks who somebody is. What is no token that somebody waits for goes on: a target may be an ACME client too.
 */
export function answerHttp01(acme: Pick<Acme, 'http01'>): Middleware {
  return <C extends Context>(next: Handler<C>): Handler<C> =>
    (ctx) => {
      const { method, path } = ctx.out
      if (!path.startsWith(folder) || (method !== 'GET' && method !== 'HEAD') || ctx.upgrade !== undefined)
        return next(ctx)
      return answer(acme, path.slice(folder.length), next, ctx)
    }
}

async function answer<C extends Context>(
  acme: Pick<Acme, 'http01'>,
  token: string,
  next: Handler<C>,
  ctx: C,
): Promise<Reply> {
  const text = await acme.http01(token)
  if (text === undefined) return next(ctx)
  // Nobody else than the authority asks, and it asks once.
  return {
    status: 200,
    headers: ['content-type', 'application/octet-stream', 'cache-control', 'no-store'],
    body: text,
  }
}
