// Compiled with the tests, not run: what must not compile stands behind @ts-expect-error.
import type { Duration } from '@sluice/options'
import type { Lease, Selected, Target, Upstream } from '@sluice/upstream'
import {
  type Chain,
  type Client,
  type Context,
  chain,
  clientAddress,
  errorPages,
  fromConnect,
  type Handler,
  type Layer,
  type Middleware,
  onError,
  onRequest,
  onResponse,
  type Reply,
  transformRequest,
  transformResponse,
} from './index.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function holds<T extends true>(): T | undefined {
  return undefined
}

// Layers of other packages, and of later ones, with the shapes of the contract.
interface Verdict {
  ok: boolean
  limit: number
  remaining: number
  resetMs: number
  retryAfterMs?: number
}
interface Limiter {
  take(key: string, cost?: number): Verdict | Promise<Verdict>
}
type Balancer<C = unknown> = (
  available: readonly Target[],
  ctx: C,
  not?: (target: Target) => boolean,
) => Target | undefined
declare function tokenBucket(options: { rate: number; burst: number }): Limiter
declare function rateLimit<C extends Context>(
  limiter: Limiter,
  options: { key: (ctx: NoInfer<C>) => string; cost?: (ctx: NoInfer<C>) => number },
): Layer<C>
declare function compress(): Middleware
declare function cache(): Middleware
declare function retry(options?: { attempts?: number; perTry?: Duration }): Middleware
declare function leastRequests(): Balancer
declare function ring<C>(key: (ctx: C) => string): Balancer<C>
declare function balance<C>(
  upstream: Upstream,
  policy?: Balancer<C>,
): Middleware<C extends object ? C : {}, Selected>
declare function forward(): Handler<Context & Selected>
declare function jwt(): Middleware<{}, { user: { readonly sub: string } }>
declare const upstream: Upstream

// DESIGN's chain, as it stands there.
const site = chain()
  .use(clientAddress({ trust: ['10.0.0.0/8'] }))
  .use(rateLimit(tokenBucket({ rate: 100, burst: 20 }), { key: (ctx) => ctx.client.address }))
  .use(compress())
  .use(cache())
  .use(retry({ attempts: 3 }))
  .use(balance(upstream, leastRequests()))
  .handle(forward())
holds<Equal<typeof site, Handler<Context>>>()

// A balancer whose key reads what an earlier layer added.
chain()
  .use(clientAddress())
  .use(
    balance(
      upstream,
      ring((ctx: Client) => ctx.client.address),
    ),
  )
  .handle(forward())

// A layer that needs what nobody added, in each of its forms.
// @ts-expect-error forward() needs target and lease
chain().handle(forward())
chain()
  // @ts-expect-error the key reads ctx.client, which nobody added
  .use(rateLimit(tokenBucket({ rate: 1, burst: 1 }), { key: (ctx) => ctx.client.address }))
const keyed = ring((ctx: Client) => ctx.client.address)
// @ts-expect-error the ring's key needs Client
chain().use(balance(upstream, keyed))
// @ts-expect-error an earlier middleware already adds client
chain().use(clientAddress()).use(clientAddress())
const again = () => ({ client: 1 })
// @ts-expect-error derive adds a key that is there
chain().use(clientAddress()).derive(again)

// Inline layers see what was added, and keep it.
chain()
  .use(clientAddress())
  .use(jwt())
  .use((next) => (ctx) => {
    holds<Equal<typeof ctx.user.sub, string>>()
    holds<Equal<typeof ctx.client.address, string>>()
    return next(ctx)
  })
  .derive((ctx) => ({ tenant: ctx.user.sub }))
  .use((next) => async (ctx) => {
    const reply: Reply = await next(ctx)
    reply.headers.push('x-tenant', ctx.tenant)
    return reply
  })
  .use(balance(upstream))
  .handle((ctx) => {
    holds<Equal<typeof ctx.target, Target>>()
    holds<Equal<typeof ctx.lease, Lease>>()
    return { status: 200, headers: ['x', ctx.tenant], body: null }
  })

// A layer kept in a variable serves chains of any context.
const shared: Middleware = fromConnect((_req, _res, next) => next())
const plain: Chain<Context, Context> = chain().use(shared)
const more: Chain<Context, Context & Client> = chain().use(clientAddress()).use(shared)
holds<Equal<typeof plain, Chain<Context, Context>>>()
void more

// A copy lacks what the context can do: what is added goes on the context itself.
chain()
  .use(clientAddress())
  // @ts-expect-error a copy has no fork, onClose, inform, cancel
  .use((next) => (ctx) => next({ ...ctx }))
chain()
  .use((next) => (ctx) => next(Object.assign(ctx, { tenant: 'a' })))
  .use((next) => (ctx) => next(ctx.fork()))

// A chain that begins with a context of its own.
chain<Context & Client>()
  .use((next) => (ctx) => next(ctx))
  .handle((ctx) => ({ status: 200, headers: [], body: ctx.client.address }))

// Pages, hooks and transforms see what earlier layers added.
const hooked = chain()
  .use(clientAddress())
  .use(errorPages({ pages: { 404: 'x', default: ({ title }, ctx) => `${title} ${ctx.client.address}` } }))
  .use(onError((error, ctx) => void [error.code, ctx.client.address]))
  .use(onResponse(async (reply, ctx) => void reply.headers.push('x', ctx.client.address)))
  .use(onRequest((ctx) => (ctx.client.address === '' ? { status: 403, headers: [], body: null } : undefined)))
  .use(transformRequest((out, ctx) => void [out.path, ctx.client.address] as undefined))
  .use(transformResponse((reply, ctx) => void [reply.status, ctx.client.address] as undefined))
  .handle(() => ({ status: 200, headers: [], body: null }))
holds<Equal<typeof hooked, Handler<Context>>>()
// @ts-expect-error nobody added client
chain().use(onRequest((ctx) => void ctx.client))
// @ts-expect-error nobody added client
chain().use(onResponse((_reply, ctx) => void ctx.client))
// @ts-expect-error nobody added client
chain().use(onError((_error, ctx) => void ctx.client))
