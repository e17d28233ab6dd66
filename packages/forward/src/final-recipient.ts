import type { Context, Reply } from '@sluice/core'

/** What a proxy passes on; which of them a target takes isn't known here. */
const allow = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE'

/** The form of a trace (RFC 9110 section 9.3.8, RFC 9112 section 10.1). */
const traced = ['content-type', 'message/http', 'cache-control', 'no-store'] as const

/** Fields that hold, or by their name may hold, what says or proves who somebody is. */
const credential =
  /assertion|auth|bearer|cert|cookie|credential|csrf|dpop|identity|jwt|key|oidc|pass|principal|saml|secret|session|sign|ticket|token|user(?!-agent)|xsrf/i

/** Fields by which our own proxies say who called: addresses inside a network are nothing for a client to see. */
const forwarding = /^(?:forwarded|x[-_](?:forwarded[-_].*|real[-_]ip))$/i

/**
 * Our answer to an OPTIONS or TRACE that may be forwarded no more (RFC 9110 section 7.6.2): the proxy is its final recipient.
 *
 * OPTIONS gets 204 with the methods that pass: there is nothing else to say, and no content to say it in. TRACE gets the
 * request as it came in, since that is what somebody who counts hops wants to see: what the last proxy made of it. It has no
 * content, and none of the fields that may hold credentials or our own proxies' word of who called, which no script in a
 * browser and no client is to read from there (RFC 9110 section 9.3.8 asks to leave out what is sensitive).
 */
export function finalRecipient(ctx: Context): Reply {
  if (ctx.out.method === 'OPTIONS') return { status: 204, headers: ['allow', allow], body: null }
  return { status: 200, headers: [...traced], body: Buffer.from(trace(ctx), 'latin1') }
}

/** The head of the request as it came, but for what is withheld. */
function trace({ req, authority }: Context): string {
  const { originalUrl } = req as { originalUrl?: unknown }
  const path = typeof originalUrl === 'string' ? originalUrl : req.url
  let text = `TRACE ${path} HTTP/${req.httpVersion}\r\n`
  // HTTP/2 has it in a pseudo field.
  if (req.httpVersionMajor === 2 && req.headers.host === undefined) text += `host: ${authority}\r\n`
  const raw = req.rawHeaders
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    if (name[0] === ':' || credential.test(name) || forwarding.test(name)) continue
    text += `${name}: ${raw[i + 1]}\r\n`
  }
  return `${text}\r\n`
}
