import type { Context } from '@sluice/core'
import { type HeaderList, isNamed, remove } from '@sluice/headers'

/** Where the credentials stay that a layer has taken off, for those further in: a route may ask for what the site has asked for. */
const taken = Symbol('sluice.access.authorization')
type Marked = { [taken]?: string }

/** What `Authorization` says; `undefined` without one, and of several, which the target could read otherwise than we do. */
export function credentialsOf(ctx: Context): string | undefined {
  const { headers } = ctx.out
  let found: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    if (!isNamed(headers[i] as string, 'authorization')) continue
    if (found !== undefined) return undefined
    found = headers[i + 1]
  }
  return found ?? (ctx as Marked)[taken]
}

/** Lets a request in for who has made it. Its credentials go no further, unless they are to. */
export function letIn(ctx: Context, credentials: string, forward: boolean): void {
  ctx.authorized = true
  ;(ctx as Marked)[taken] = credentials
  if (!forward) remove(ctx.out.headers, 'authorization')
}

/**
 * What follows the name of a scheme, whose case doesn't count (RFC 9110 section 11.1).
 * @param scheme in lower case, with the blank behind it
 */
export function afterScheme(credentials: string, scheme: string): string | undefined {
  if (credentials.length <= scheme.length) return undefined
  if (credentials.slice(0, scheme.length).toLowerCase() !== scheme) return undefined
  return credentials.slice(scheme.length).trim()
}

/** A text as a quoted string (RFC 9110 section 5.6.4). */
export function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

/** Fields of a 401, without which it is none (RFC 9110 section 15.5.2). */
export function challenge(value: string): HeaderList {
  return ['WWW-Authenticate', value]
}
