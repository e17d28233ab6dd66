import {
  type Client,
  type Context,
  type Handler,
  type Middleware,
  publicAuthority,
  publicPath,
  type Reply,
} from '@sluice/core'
import { mountPath } from '@sluice/headers'
import { Dictionaries, type DictionaryCase } from './dictionaries.js'
import { type DictionaryOptions, resolveDictionaries } from './dictionary-options.js'

/**
 * Shared dictionaries (RFC 9842): what a client gets is coded by what it has already, `dcb` or `dcz`. It stands inside of `compress`, which codes what has
 * no dictionary, and outside of `cache`, whose bytes it needs plain. Over TLS alone, and on the host itself: `clientAddress({ trust })` before it where
 * another proxy has taken the TLS off. A Node that has no such codec passes everything on as it is.
 * @param options of dictionaries of its own; or an engine, to share what it keeps among several places in chains
 * @throws TypeError that names the option
 */
export function sharedDictionaries(options: DictionaryOptions | Dictionaries): Middleware {
  const engine = options instanceof Dictionaries ? options : new Dictionaries(resolveDictionaries(options))
  return <C extends Context>(next: Handler<C>): Handler<C> =>
    (ctx) => {
      const found = ctx.upgrade === undefined ? begin(engine, ctx) : undefined
      return found === undefined ? next(ctx) : answered(engine, found, ctx, next(ctx))
    }
}

/** Kept first: what is kept are the plain bytes. */
async function answered(
  engine: Dictionaries,
  found: DictionaryCase,
  ctx: Context,
  reply: Reply | Promise<Reply>,
): Promise<Reply> {
  const came = await reply
  return engine.code(found, engine.keep(found, came, ctx.authorized))
}

/** By the public URL, as the client says it where it is believed. */
function begin(engine: Dictionaries, ctx: Context & Partial<Client>): DictionaryCase | undefined {
  const { client, out, req } = ctx
  return engine.begin({
    method: out.method,
    scheme: client?.scheme ?? ctx.scheme,
    authority: publicAuthority(ctx.authority, client),
    path: publicPath(mountPath(req) + out.path, client),
    headers: out.headers,
  })
}
