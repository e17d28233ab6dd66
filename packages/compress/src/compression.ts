import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { constants } from 'node:zlib'
import type { ConnectMiddleware } from '@sluice/core'
import { getAll } from '@sluice/headers'
import { type CompressionOptions, type ConnectCoding, resolveCompression } from './compression-options.js'
import { type Chosen, Negotiation } from './negotiate.js'
import { PassingResponse } from './passing-response.js'
import { asTarget } from './validators.js'

/** The window of br as a power of two: the package's own, 22, holds megabytes more for each response under way. */
const brWindow = 18

/**
 * The npm package `compression` 1.8.2 as a middleware for Express and Connect, or within a chain by `fromConnect`, without what one
 * has to know of it: events and other parts of streams go out at the end of the turn in which they were written; 206 and what has
 * `Content-Range` stays as it is; a strong `ETag` is weakened, and understood when it comes back in `If-Match`; digests, lengths and
 * `Accept-Ranges` of the bytes before are dropped; HEAD gets the fields of GET; `once('drain')`, `pipe()` and the callbacks of `write`
 * and `end` work; `Vary` stands where some client would get another form. What clients who leave had under way is freed at once.
 *
 * A client that accepts nothing which can be made gets the body as it is (RFC 9110 section 12.5.3 allows it). A field
 * `Accept-Encoding` of more than 8 KB counts as not sent. The package is loaded by this call and not by the import.
 *
 * `compress()` is for chains and proxies: it has zstd, and stores what it has made in the cache. By `fromConnect` what goes on is
 * `ctx.out`, which no middleware for Connect changes: conditions with weakened tags reach a target there as the client sent them, and
 * `If-Match` fails.
 * @throws TypeError that names the option
 */
export function compression(options: CompressionOptions = {}): ConnectMiddleware {
  const settings = resolveCompression(options)
  const { encodings, level } = settings
  const load = createRequire(import.meta.url)('compression') as typeof import('compression')
  // The package has one set of zlib's options for gzip and deflate, so each coding has its own instance.
  const made = (coding: ConnectCoding): Bare =>
    load({
      threshold: 0,
      filter: (passing) => (passing as unknown as PassingResponse).isWorth(),
      level: level[coding],
      brotli: {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: level.br,
          [constants.BROTLI_PARAM_LGWIN]: brWindow,
        },
      },
    }) as unknown as Bare
  const bare = new Map(encodings.map((coding) => [coding, made(coding)]))
  const negotiation = new Negotiation(encodings)
  return function compression(req: IncomingMessage, res: ServerResponse, next: () => void): void {
    const chosen = negotiation.choose(req.headers['accept-encoding'] as string | undefined)
    const coding = chosen === 'identity' ? undefined : (chosen as ConnectCoding | undefined)
    conditionsAsApp(req, chosen ?? 'identity')
    new PassingResponse(req, res, settings, coding).through(
      bare.get(coding ?? (encodings[0] as ConnectCoding)) as Bare,
    )
    next()
  }
}

/** Clients send back the weak tags that they have got here, and what is behind knows its own alone. */
function conditionsAsApp(req: IncomingMessage, chosen: Chosen): void {
  const { headers, rawHeaders } = req
  const mapped = asTarget(rawHeaders, 'weak', chosen)
  if (mapped === rawHeaders) return
  // On HTTP/2 the list itself can't be exchanged.
  rawHeaders.splice(0, rawHeaders.length, ...mapped)
  for (const name of ['if-match', 'if-range', 'range']) {
    const values = getAll(mapped, name)
    if (values.length === 0) delete headers[name]
    else headers[name] = values.join(', ')
  }
}

/** The package's middleware, as it is called here. */
type Bare = (req: PassingResponse, res: ServerResponse, next: () => void) => void
