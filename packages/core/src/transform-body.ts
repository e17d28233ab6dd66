import type { Duplex } from 'node:stream'
import { get, getAll, type HeaderList } from '@sluice/headers'
import { needFunction, parse, v } from '@sluice/options'
import { toBody } from './bodies.js'
import type { Body } from './body.js'
import type { Layer } from './chain.js'
import { appError, fieldFault, outFault } from './check-reply.js'
import type { Context, Outbound } from './context.js'
import { discard, type Reply, unhandled } from './reply.js'
import { TransformedBody } from './transformed-body.js'
import { isWebTransform, WebDuplex, type WebTransform } from './web-duplex.js'

/** What a body is to flow through; nothing leaves it as it is. */
export type BodyTransform = Duplex | WebTransform | undefined

/** Options of {@link transformRequest} and {@link transformResponse}. */
export interface TransformOptions {
  /** Bodies with a `Content-Encoding` too: what flows is then the coded bytes. Default `false`. */
  coded?: boolean
}

const schema = v.strictObject({ coded: v.optional(v.boolean()) })

/**
 * Lets the bodies of requests flow through a stream of one's own, as they come, with backpressure. `fn` may edit the fields
 * of `out`, and gives a stream or nothing. What the stream makes has a length that nobody knows: it goes out in chunks, and
 * what told of the bytes before (length, digests, validators) is gone. A request whose body was read isn't sent again.
 *
 * Where the stream fails, the request fails with 500; where the client leaves or the target wants no more, the stream is
 * destroyed. What `whyNotRequest` names isn't transformed, and `fn` isn't asked.
 * @throws TypeError for a wrong option
 */
export function transformRequest<C extends Context>(
  fn: (out: Outbound, ctx: NoInfer<C>) => BodyTransform,
  options: TransformOptions = {},
): Layer<C> {
  const coded = check('transformRequest', fn, options)
  return (next) => (ctx) => {
    const { out } = ctx
    if (whyNotRequest(out, fn, coded) !== undefined) return next(ctx)
    const { method, path } = out
    let stream: Duplex | undefined
    try {
      stream = streamOf(fn(out, ctx))
      const wrong = outFault(out, method, path)
      if (wrong !== undefined) throw new TypeError(`it gave ${wrong}`)
    } catch (thrown) {
      stream?.destroy()
      throw appError('transformRequest', thrown)
    }
    if (stream === undefined) return next(ctx)
    const body = new TransformedBody(toBody(out.body ?? '') as Body, stream, ctx, fn)
    out.headers = withoutBytes(out.headers)
    out.body = body
    // Nobody may ever take it: without a target, say.
    ctx.onClose(letGo, body)
    return next(ctx)
  }
}

/**
 * Lets the bodies of replies flow through a stream of one's own, as they come, with backpressure. `fn` may edit the fields of
 * the reply, and gives a stream or nothing. What told of the bytes before goes: length, digests, validators, and that parts
 * could be asked for. Trailers stay. What `whyNotResponse` names isn't transformed, and `fn` isn't asked: a client can have
 * that by asking for a range or a coding, so where every byte must pass remove `Range` and `Accept-Encoding` from `ctx.out`.
 * Of HEAD it is asked, since its fields are those of GET: the stream that it gives is destroyed unused.
 *
 * Where the stream fails the client's connection is cut, so that what has come doesn't pass for all, and the target's is let
 * go; where either end is lost the stream is destroyed.
 * @throws TypeError for a wrong option
 */
export function transformResponse<C extends Context>(
  fn: (reply: Reply, ctx: NoInfer<C>) => BodyTransform,
  options: TransformOptions = {},
): Layer<C> {
  const coded = check('transformResponse', fn, options)
  return (next) => async (ctx) => {
    const reply = await next(ctx)
    const why = whyNotResponse(reply, ctx, coded)
    const bare = why === 'HEAD'
    if (why !== undefined && !bare) return reply
    // A handler may give the same reply many times.
    const { variants: _ofOtherBytes, ...changed } = { ...reply, headers: reply.headers.slice() }
    let stream: Duplex | undefined
    try {
      stream = streamOf(fn(changed, ctx))
      const wrong = fieldFault(changed.headers)
      if (wrong !== undefined) throw new TypeError(`it gave ${wrong}`)
    } catch (thrown) {
      stream?.destroy()
      discard(reply)
      if (changed.body !== reply.body) discard(changed)
      throw appError('transformResponse', thrown)
    }
    if (stream === undefined)
      return reply.variants === undefined ? changed : { ...changed, variants: reply.variants }
    changed.headers = withoutBytes(changed.headers)
    if (bare) stream.on('error', ignore).destroy()
    else changed.body = new TransformedBody(toBody(changed.body ?? '') as Body, stream, ctx, fn)
    return changed
  }
}

type Skip = string | undefined

/** Why the body of a request isn't transformed. */
function whyNotRequest({ body, headers }: Outbound, fn: object, coded: boolean): Skip {
  // There are no bytes.
  if (body === null) return 'no body'
  // A further attempt enters the layer with the body that the first has put in place.
  if (body instanceof TransformedBody && body.isOf(fn)) return 'done before'
  return whyNotFields(headers, coded)
}

/** Why the body of a reply isn't transformed. */
function whyNotResponse(reply: Reply, { req }: Context, coded: boolean): Skip {
  // Nobody has answered yet; what is no reply the mount tells of.
  if (reply === unhandled || typeof reply !== 'object' || reply === null) return 'no reply'
  const { status, headers, body, socket } = reply
  // A tunnel's bytes are no body.
  if (socket !== undefined || status < 200) return 'socket'
  // RFC 9110 sections 15.3.5 and 15.4.5: there never is content.
  if (status === 204 || status === 304) return 'no content'
  // A part of other bytes: what the stream would make of it fits no other part.
  if (status === 206) return 'part'
  const why = whyNotFields(headers, coded)
  if (why !== undefined) return why
  // There are no bytes. RFC 9110 section 8.6: a length that GET might not have must not be told.
  if (req.method === 'HEAD') return 'HEAD'
  return body === null ? 'no body' : undefined
}

function whyNotFields(headers: HeaderList, coded: boolean): Skip {
  // As with 206; also of a partial PUT (RFC 9110 section 14.5).
  if (get(headers, 'content-range') !== undefined) return 'part'
  // RFC 9110 section 7.7: a proxy must not.
  if (getAll(headers, 'cache-control').some((value) => /(?:^|,)\s*no-transform\s*(?:[,=]|$)/i.test(value)))
    return 'no-transform'
  // Coded bytes are no text, and what is put in between breaks them.
  if (!coded && getAll(headers, 'content-encoding').some((value) => !/^\s*(?:identity\s*)?$/i.test(value)))
    return 'coded'
  return undefined
}

/** Fields that tell of the bytes which a body had (RFC 9110 sections 8.6, 8.8, 14.3 and 14.4, RFC 9530, RFC 3230, RFC 1864). */
const ofBytes =
  /^(?:content-length|content-md5|digest|content-digest|repr-digest|etag|last-modified|accept-ranges|content-range)$/i

function withoutBytes(headers: HeaderList): HeaderList {
  const left: HeaderList = []
  for (let i = 0; i < headers.length; i += 2)
    if (!ofBytes.test(headers[i] as string)) left.push(headers[i] as string, headers[i + 1] as string)
  return left
}

/** The stream that a function of the app's own has given. */
function streamOf(given: BodyTransform): Duplex | undefined {
  if (given === undefined) return undefined
  if (isWebTransform(given)) return new WebDuplex(given)
  if (isDuplex(given)) return given
  throw new TypeError('it gave neither a Duplex nor a TransformStream')
}

/** Streams of other packages of streams are none of Node's class. */
function isDuplex(value: unknown): value is Duplex {
  if (typeof value !== 'object' || value === null) return false
  const { write, on, destroy, resume } = value as Partial<Duplex>
  return [write, on, destroy, resume].every((each) => typeof each === 'function')
}

function ignore(): void {}

function letGo(_end: unknown, body: TransformedBody): void {
  if (!body.taken) body.cancel()
}

function check(who: string, fn: unknown, options: TransformOptions): boolean {
  needFunction(fn, who)
  return parse(schema, options, who).coded ?? false
}
