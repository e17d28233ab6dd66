import { needFunction } from '@sluice/options'
import type { Context } from './context.js'
import { Exchange } from './exchange.js'
import { asProxyError } from './proxy-error.js'
import { onBodyEnd, type Reply } from './reply.js'

/** Takes a context, gives a reply. What a chain is in the end, and what each layer calls as `next`. */
export type Handler<C = Context> = (ctx: C) => Reply | Promise<Reply>

/** A layer for a known context. */
export type Layer<C extends Context = Context> = (next: Handler<C>) => Handler<C>

declare const state: unique symbol

/**
 * A layer that says what it needs of the context and what it adds to it; a chain checks both when it is compiled. One
 * that neither needs nor adds anything is a plain `Middleware`.
 */
export interface Middleware<Needs extends object = {}, Adds extends object = {}> {
  <C extends Context & Needs>(next: Handler<C & Adds>): Handler<C>
  readonly [state]?: [Needs, Adds]
}

/** What keeps a middleware out of a chain, as a type whose only key says why. */
export type Check<Have, Needs, Adds> = Have extends Needs
  ? keyof Have & keyof Adds extends never
    ? unknown
    : { 'an earlier middleware already adds': keyof Have & keyof Adds }
  : {
      'this middleware needs': Exclude<keyof Needs, keyof Have> extends never
        ? Needs
        : Exclude<keyof Needs, keyof Have>
    }

/** Layers on their way to a handler. Immutable: each call gives a longer chain. */
export interface Chain<Start extends Context, Have extends Start> {
  /**
   * Adds a layer inside the earlier ones.
   * @throws TypeError for what is no layer; `handle` does for one that gives no handler
   */
  use(layer: Layer<Have> & { readonly [state]?: never }): Chain<Start, Have>
  use<Needs extends object, Adds extends object>(
    middleware: Middleware<Needs, Adds> & Check<Have, Needs, Adds>,
  ): Chain<Start, Have & Adds>
  /** Adds keys made of the context. */
  derive<Adds extends object>(make: ((ctx: Have) => Adds) & Check<Have, {}, Adds>): Chain<Start, Have & Adds>
  /** Ends the chain and links its layers, once. */
  handle(handler: Handler<Have>): Handler<Start>
}

type AnyLayer = (next: Handler<never>) => Handler<never>

class LayerChain {
  constructor(private readonly layers: readonly AnyLayer[]) {}

  use(layer: AnyLayer): LayerChain {
    const { layers } = this
    return new LayerChain([...layers, checkedLayer(layer, `layer ${layers.length + 1} of the chain`)])
  }

  derive(make: (ctx: never) => object): LayerChain {
    return this.use((next) => (ctx) => next(Object.assign(ctx, make(ctx))))
  }

  handle(handler: Handler<never>): Handler<never> {
    needFunction(handler, 'handle()', 'a handler')
    return this.layers.reduceRight<Handler<never>>((next, layer) => attempt(layer(next)), attempt(handler))
  }
}

/**
 * A layer that is refused with `where` it stands, such as `use[0]`, if it gives no handler.
 * @throws TypeError at once for no function, or one of several arguments; else when it is linked
 */
export function checkedLayer<C extends Context>(layer: Layer<C>, where: string): Layer<C> {
  const refuse = (got: string): never => {
    throw new TypeError(
      `${where}: got ${got}, takes a layer, (next) => (ctx) => reply; a middleware of Connect goes through fromConnect()`,
    )
  }
  if (typeof layer !== 'function') refuse(typeof layer)
  if (layer.length > 1) refuse('a function of several arguments')
  return (next) => {
    const handler: unknown = layer(next)
    // It is refused, and its fault is nobody's to hear.
    if (handler instanceof Promise) handler.catch(() => {})
    if (typeof handler !== 'function') refuse(`a function that gives ${typeof handler}`)
    return handler as Handler<C>
  }
}

/**
 * Ties the end of a further attempt to the end of its body where the attempt enters the chain: a layer further in may
 * answer by itself, or throw. Costs the first attempt a check.
 */
function attempt(handler: Handler<never>): Handler<never> {
  return (ctx: never) => {
    if ((ctx as Context) instanceof Exchange)
      return (ctx as Exchange).isUntied ? tied(handler, ctx) : handler(ctx)
    refuseOther(ctx)
    return handler(ctx)
  }
}

/**
 * A copy has the fields of an exchange and none of its methods, which somebody further in would miss, whom nobody knows. A request has
 * neither: a server or an app was given the handler as it is.
 */
function refuseOther(ctx: Partial<Context>): void {
  if (typeof ctx.onClose === 'function') return
  if ('rawHeaders' in ctx)
    throw new TypeError(
      'the handler of a chain was called with a request: it takes a context; a server or an app takes toListener(handler), and of a proxy its listener',
    )
  if (ctx.req === undefined) return
  throw new TypeError(
    'a layer has called next() with a copy of its context, as { ...ctx } is: it takes the context itself, with keys assigned to it, or ctx.fork() for a further attempt',
  )
}

async function tied(handler: Handler<never>, ctx: never): Promise<Reply> {
  const fork = ctx as Exchange
  fork.tie()
  try {
    const reply = await handler(ctx)
    onBodyEnd(reply, endOfAttempt, fork)
    return reply
  } catch (error) {
    fork.close({ kind: 'error', error: asProxyError(error), bytes: 0 })
    throw error
  }
}

function endOfAttempt(error: Error | undefined, fork: Exchange): void {
  if (error === undefined) fork.close({ kind: 'done', bytes: 0 })
  else fork.close({ kind: 'error', error: asProxyError(error), bytes: 0 })
}

/**
 * Begins a chain of middlewares. They are linked when `handle` ends it; a request then walks plain function calls, from
 * the first layer to the handler, and the reply walks back.
 */
export function chain<Start extends Context = Context>(): Chain<Start, Start> {
  return new LayerChain([]) as unknown as Chain<Start, Start>
}
