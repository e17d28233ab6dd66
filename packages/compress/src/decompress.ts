import { type Context, type Middleware, ProxyError, type Reply, unhandled } from '@sluice/core'
import { contentCodings, get, getAll, type HeaderList } from '@sluice/headers'
import { oneOf, parse, v } from '@sluice/options'
import debug from 'debug'
import { varyFields, withoutVary } from './coded-fields.js'
import { type Coding, codings as ours } from './coding.js'
import type { DecodeError } from './decode-error.js'
import { decodeBody, hasNoBytes } from './decoded-body.js'
import { decodedFields, readWithoutDigests, whyLeft } from './decoded-fields.js'
import { decodable } from './decoder.js'
import { acceptEncodingOf, Negotiation } from './negotiate.js'
import { asClient, asTarget } from './validators.js'

const log = debug('sluice:compress')

/** Options of {@link decompress}. */
export interface DecompressOptions {
  /**
   * Whose sake it is for: `'client'` decodes what the client hasn't said that it takes, `'all'` whatever can be decoded, for layers further
   * out that read or change bodies. With `'all'` clients get everything plain unless `compress` stands further out. Default `'client'`.
   */
  for?: 'client' | 'all'
}

/** Validates {@link DecompressOptions} and fills in the defaults. */
const decompressOptions = v.strictObject({ for: v.optional(oneOf('client', 'all'), 'client') })

/**
 * Decodes the bodies of replies: gzip, deflate, br, and zstd where Node has it, up to three on top of each other. `Content-Encoding`,
 * `Content-Length`, `Accept-Ranges` and digests go; a strong `ETag` becomes weak, and comes back in conditions as the target knows it; for a
 * client's sake `Vary` names `Accept-Encoding`, for all it does no more. The body is decoded as it is read; `decodeBody` tells how much memory each one takes. There is
 * no limit on what it comes to: the client takes it at its own pace.
 *
 * A body that is cut, damaged or followed by other bytes is the target's fault, `http_response_content_coding`. By then the head has gone
 * out, and the client's connection is cut, so that what came isn't taken for the whole. It is 502 where the first bytes came with the head and
 * are wrong.
 *
 * Left as they are: codings unknown here, or more than three; `no-transform` (RFC 9110 section 7.7); 206, since a part can't be decoded without
 * those before it; 204, 304, and replies that announce 0 bytes; upgrades. The fields of HEAD are those that GET would have. A client
 * that sends no `Accept-Encoding`, or one of more than 8 KB, gets what it can read for sure.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function decompress(options: DecompressOptions = {}, path = 'decompress'): Middleware {
  const forAll = parse(decompressOptions, options, path).for === 'all'
  return (next) => async (ctx) => {
    const { out } = ctx
    const accept = acceptEncodingOf(out.headers)
    const asked = getAll(out.headers, 'if-none-match')
    // To a client that takes all of them nothing but the target's own bytes is ever sent.
    out.headers = asTarget(out.headers, 'weak', !forAll && takesAll(accept, ours) ? 'identity' : undefined)
    const reply = await next(ctx)
    // Nobody has answered yet: it is one shared value. What is no reply the mount tells of.
    if (reply === unhandled || typeof reply !== 'object' || reply === null) return reply
    if (reply.status === 304) {
      const known = asClient(reply.headers, asked.length === 0 ? undefined : asked.join(', '), 'weak')
      return withFields(reply, known, forAll)
    }
    const codings = contentCodings(reply.headers)
    const why = whyNot(ctx, reply, codings)
    if (why !== undefined) {
      if (codings.length > 0 && log.enabled)
        log('%s %s: the answer is not decoded: %s', out.method, out.path, why)
      if (why === 'not coded' && forAll) return withFields(reply, reply.headers, forAll)
      return why === 'part' && !forAll ? withFields(reply, reply.headers, forAll) : reply
    }
    if (!forAll && takesAll(accept, codings)) return withFields(reply, reply.headers, forAll)
    return withFields(decoded(ctx, reply, codings), decodedFields(reply.headers), forAll)
  }
}

/** Why a reply stays as it is, whatever its client takes. */
function whyNot({ req }: Context, reply: Reply, codings: readonly string[]): string | undefined {
  if (codings.length === 0) return 'not coded'
  const { body, headers, socket, status } = reply
  if (socket !== undefined || status < 200) return 'socket'
  // RFC 9110 sections 15.3.5 and 15.3.6: there never is content.
  if (status === 204 || status === 205) return 'no content'
  if (!decodable(codings)) return 'unknown coding'
  if (status === 206) return 'part'
  const why = whyLeft(headers)
  if (why !== undefined) return why
  // There is nothing to decode, and a codec would take it for cut.
  if (get(headers, 'content-length') === '0' || (req.method !== 'HEAD' && hasNoBytes(body))) return 'no body'
  return undefined
}

/** What each coding is to a client. */
const negotiations: ReadonlyMap<string, Negotiation> = new Map(
  ours.map((coding: Coding) => [coding, new Negotiation([coding])]),
)

function takesAll(accept: string | undefined, codings: readonly string[]): boolean {
  return codings.every((coding) => negotiations.get(coding)?.choose(accept) === coding)
}

function decoded({ req }: Context, reply: Reply, codings: readonly string[]): Reply {
  // The variants are of the coded bytes.
  const { variants: _ofCoded, ...plain } = reply
  if (req.method !== 'HEAD') plain.body = decodeBody(reply.body, codings, undefined, asTargetsFault)
  const { trailers } = reply
  if (trailers !== undefined) plain.trailers = readWithoutDigests(trailers)
  return plain
}

/**
 * A reply with other fields. Where it is for a client's sake it depends on what that takes, and must say so also where it has stayed as it is,
 * and of 206 and 304, of which nobody knows (RFC 9110 sections 12.5.5, 15.3.7 and 15.4.5). Where it is for all it depends on that no more, whatever
 * the target says: a cache further out would keep the same plain body once for each kind of client.
 */
function withFields(reply: Reply, headers: HeaderList, forAll: boolean): Reply {
  const all = forAll ? withoutVary(headers) : varyFields(headers)
  return all === reply.headers ? reply : { ...reply, headers: all }
}

function asTargetsFault(cause: DecodeError): ProxyError {
  return new ProxyError('http_response_content_coding', { message: cause.message, cause })
}
