import { timingSafeEqual } from 'node:crypto'
import { type Client, type Context, type Middleware, ProxyError, publicPath } from '@sluice/core'
import { mountPath } from '@sluice/headers'
import { parse } from '@sluice/options'
import { type SignedUrlOptions, signedUrlOptions } from './signed-url-options.js'
import { urlSignature } from './url-signature.js'

/** What `pathPolicy` adds: a path before and behind it, without the query. */
interface Respelt {
  readonly respelt?: { readonly from: string; readonly to: string }
}

/**
 * Lets URLs pass that `signUrl` has made with one of the secrets, until their end, and answers all others with 403. What is signed is the method,
 * and path and query byte for byte, as the client has asked for them, whichever form `pathPolicy` has given them for the target; the two parameters
 * stand at the end, and the target doesn't see them.
 *
 * Who has such a URL may use it, whoever that is, as often as they like; and a cache between here and the client may keep the answer beyond the
 * end of the URL, if the target lets it.
 * @param path what messages call the options
 * @throws TypeError for a wrong option; no message shows a secret
 */
export function signedUrl(options: SignedUrlOptions, path = 'signedUrl'): Middleware {
  const { secret, expires, signature, now } = parse(signedUrlOptions, options, path)
  const secrets = [secret].flat() as string[]
  const escaped = [expires, signature].map((name) => name.replaceAll(/[.~-]/g, '\\$&'))
  const end = new RegExp(`[?&]${escaped[0]}=(\\d{1,12})&${escaped[1]}=([\\w-]{43})$`)

  return (next) => (ctx) => {
    const { out, req } = ctx
    const spelt = speltByClient(ctx)
    const found = end.exec(spelt)
    if (found === null || !out.path.endsWith(found[0])) throw refused('signature-missing')
    const [tail, until = '', given = ''] = found
    const { client } = ctx as Context & Partial<Client>
    // Its own length is that of `&name=` and 43 characters.
    const signed = spelt.slice(0, -(signature.length + 2 + given.length))
    const asked = publicPath(mountPath(req) + signed, client)
    // As texts: several of them stand for the same bytes, and each would be another URL to a cache.
    const shown = Buffer.from(given, 'latin1')
    let right = false
    // Each of them, so that time tells nothing of which one it was.
    for (const each of secrets) {
      const own = urlSignature(each, out.method, asked)
      right = timingSafeEqual(own, shown) || right
    }
    if (!right) throw refused('signature-wrong')
    if (Number(until) * 1_000 <= now()) throw refused('signature-expired')
    out.path = out.path.slice(0, -tail.length)
    return next(ctx)
  }
}

/** What was signed, though `pathPolicy` has spelt it otherwise; where a layer has put another path there since, that one, which the target gets. */
function speltByClient({ out, respelt }: Context & Respelt): string {
  if (respelt === undefined || !out.path.startsWith(respelt.to)) return out.path
  const query = out.path.slice(respelt.to.length)
  return query === '' || query[0] === '?' ? respelt.from + query : out.path
}

function refused(reason: string): ProxyError {
  return new ProxyError('http_request_denied', { reason })
}
