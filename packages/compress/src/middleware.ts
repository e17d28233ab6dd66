import type { Context, Handler, Layer, Middleware, Reply } from '@sluice/core'
import type { CompressOptions } from './compress-options.js'
import { type AskedCoding, Compressor, createCompressor, notAcceptable } from './compressor.js'

/** Which compressor an answer is for, where that isn't always the same one; `undefined` leaves the answer as it is. */
export type ChooseCompressor<C> = (ctx: C, reply: Reply) => Compressor | undefined

/**
 * Compresses answers for clients that take it (RFC 9110 section 12.5.3). It stands outside of the cache and of layers that read bodies: a coding is
 * one client's affair. Upgrades pass by.
 * @param what options of a compressor of its own, or one that `createCompressor` has made
 * @param choose chooses another one for an answer, or none, once that is there; how entity tags are marked stays `what`'s
 * @throws TypeError that names the option
 */
export function compress(what?: CompressOptions | Compressor): Middleware
export function compress<C extends Context>(
  what: CompressOptions | Compressor,
  choose: ChooseCompressor<NoInfer<C>>,
): Layer<C>
export function compress<C extends Context>(
  what: CompressOptions | Compressor = {},
  choose?: ChooseCompressor<C>,
): Layer<C> {
  const compressor = what instanceof Compressor ? what : createCompressor(what)
  const answer = (asked: AskedCoding, reply: Reply, ctx: C): Reply | Promise<Reply> => {
    // What is no reply the mount tells of, in words for whoever made it.
    if (typeof reply !== 'object' || reply === null) return reply
    const chosen = choose === undefined ? compressor : choose(ctx, reply)
    return chosen === undefined ? reply : chosen.answer(asked, reply)
  }
  const later = async (asked: AskedCoding, coming: Promise<Reply>, ctx: C): Promise<Reply> =>
    answer(asked, await coming, ctx)
  return (next: Handler<C>): Handler<C> =>
    (ctx) => {
      if (ctx.upgrade !== undefined) return next(ctx)
      const { out } = ctx
      const asked = compressor.ask(out, choose === undefined)
      if (compressor.refuses(asked)) return notAcceptable()
      out.headers = asked.forTarget
      const reply = next(ctx)
      return reply instanceof Promise ? later(asked, reply, ctx) : answer(asked, reply, ctx)
    }
}
