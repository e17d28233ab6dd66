import { type Context, type Handler, type Middleware, ProxyError, type Reply } from '@sluice/core'
import { parse } from '@sluice/options'
import { type BasicAuthOptions, basicAuthOptions } from './basic-auth-options.js'
import { afterScheme, challenge, credentialsOf, letIn, quoted } from './credentials.js'
import { isText } from './field-names.js'
import { fieldValue, identityFields } from './identity-fields.js'
import { usersOf } from './users.js'

/** What {@link basicAuth} adds. */
export interface User {
  /** The name that the client has proved to be its own. */
  user: string
}

/**
 * Lets in who knows a user's password (RFC 7617), and answers all others with 401 and the question for one: browsers then ask. Passwords are
 * compared in constant time, and a name that there isn't takes as long as one that there is. What is let in is one user's to a cache further in.
 *
 * It can't keep anybody from listening: without TLS the password goes over the wire with each request. Nor does it count attempts: put a rate
 * limit before it.
 * @param path what messages call the options
 * @throws TypeError for a wrong option; no message shows a password
 */
export function basicAuth(options: BasicAuthOptions, path = 'basicAuth'): Middleware<{}, User> {
  const { users, realm, forward, header } = parse(basicAuthOptions, options, path)
  const isUser = usersOf(users)
  const fields = identityFields(header === undefined ? [] : [header])
  const asked = challenge(`Basic realm=${quoted(realm)}, charset="UTF-8"`)

  const refuse = (reason: string): never => {
    throw new ProxyError('http_request_unauthorized', { reason, headers: asked })
  }
  const enter = <C extends Context>(
    next: Handler<C & User>,
    ctx: C,
    name: string,
    credentials: string,
  ): Reply | Promise<Reply> => {
    letIn(ctx, credentials, forward)
    if (header !== undefined) ctx.out.headers.push(header, fieldValue(name) as string)
    return next(Object.assign(ctx, { user: name }))
  }

  return (next) => (ctx) => {
    fields.clear(ctx)
    const credentials = credentialsOf(ctx)
    if (credentials === undefined) return refuse('credentials-missing')
    const coded = afterScheme(credentials, 'basic ')
    if (coded === undefined) return refuse('credentials-missing')
    const pair = readPair(coded)
    if (pair === undefined) return refuse('credentials-malformed')
    const { name, password } = pair
    const told = header === undefined ? undefined : fieldValue(name)
    if (header !== undefined && told === undefined) return refuse('credentials-malformed')
    const known = isUser(name, password)
    if (known instanceof Promise)
      return known.then((right) =>
        right ? enter(next, ctx, name, credentials) : refuse('credentials-wrong'),
      )
    return known ? enter(next, ctx, name, credentials) : refuse('credentials-wrong')
  }
}

/** RFC 7617 section 2: base64 of name, colon and password, in UTF-8. */
function readPair(coded: string): { name: string; password: string } | undefined {
  if (!/^[\w+/]+={0,2}$/.test(coded) || coded.includes('_')) return undefined
  const text = Buffer.from(coded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  // A byte that is no UTF-8 has become U+FFFD, which would make one password of many.
  if (colon < 1 || !isText(text) || text.includes('\ufffd')) return undefined
  return { name: text.slice(0, colon), password: text.slice(colon + 1) }
}
