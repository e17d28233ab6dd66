import type { Client, Context, Reply } from '@sluice/core'
import {
  type CookieClient,
  type CookieRules,
  type FieldRuleSet,
  type HeaderList,
  isAuthority,
  type LocationMap,
  mapLinks,
  mapLocation,
  mapRefresh,
  mountPath,
  parseAuthority,
  rewriteSetCookie,
} from '@sluice/headers'
import type { Selected } from '@sluice/upstream'
import { type FieldEdit, fieldEdit } from './field-edit.js'

/**
 * A rule as a function: edits the list. It is called in the middle of the exchange and can't wait: it is synchronous, and a
 * promise that it gives is an error. What it throws, or puts there that HTTP forbids, ends the exchange with 500.
 */
export type FieldRule<C extends Context = Context> = (headers: HeaderList, ctx: C) => void

/** Rules for fields: an object, a function, or a list of both, which are applied in order. */
export type FieldRules<C extends Context = Context> =
  | FieldRuleSet
  | FieldRule<C>
  | readonly (FieldRuleSet | FieldRule<C>)[]

/** What is changed in the fields of requests and answers. */
export interface RewriteOptions<C extends Context = Context & Selected> {
  /**
   * Of requests, on the list that goes to the target: `Host`, `X-Forwarded-*` and `Via` are in it, so they may go too. A rule
   * that removes `Via` removes what loops are noticed by.
   */
  request?: FieldRules<C>
  /** Of answers, those to upgrades included, after `location` and `cookies`, before `Via` is added. */
  response?: FieldRules<C>
  /**
   * URLs in `Location`, `Content-Location`, `Refresh` and `Link` that would lead clients past the proxy. `'origin'`: those that name the
   * target itself (scheme, host, port, base path) get the client's scheme and authority, and the path that the proxy is
   * mounted at. `'all'`: paths alone (`/x`) too. `false` leaves all, which shows clients the target's name. Default `'origin'`.
   */
  location?: 'origin' | 'all' | false
  /** Attributes of cookies that targets set. Default: left as they are. */
  cookies?: CookieRules
}

/** What is read of a context; what other layers may have added is read if it is there. */
type Seen = Context & {
  readonly client?: Client['client'] & {
    /** As a trusted proxy has said. */
    readonly host?: string
    readonly port?: number
    readonly prefix?: string
  }
  /** What was taken off the path on its way here. */
  readonly stripped?: string
}

/** {@link RewriteOptions} made ready. What is off isn't there. */
export interface Rewriting {
  readonly request: FieldEdit | undefined
  readonly response: AnswerEdit | undefined
  /** The same for an informational answer, in which only URLs are changed: `Link` in 103 (RFC 8297). */
  readonly informed: AnswerEdit | undefined
}

/** Edits the list of an answer of the target that goes by this name. */
export type AnswerEdit = (
  headers: HeaderList,
  ctx: Context,
  target: TargetName,
  version?: Reply['version'],
) => void

/** What a target may call itself in its answers. */
export interface TargetName {
  /** As `URL.origin` has it. */
  readonly origin: string
  /** Its base path without a slash at its end. */
  readonly base: string
}

/**
 * @param options as `rewriteOptions` takes them
 * @param calledAs what `Host` says to every target, if that isn't its own name: it may call itself so too
 */
export function compileRewrite(options: RewriteOptions, calledAs?: string): Rewriting {
  const { location = 'origin', cookies } = options
  const rules = fieldEdit(options.response, 'response')
  const urls = location !== false
  const baked = cookies !== undefined && Object.keys(cookies).length > 0
  const alias =
    calledAs === undefined
      ? undefined
      : { http: originOf('http', calledAs), https: originOf('https', calledAs) }
  const settings: Settings = { location, cookies: baked ? cookies : undefined, alias }
  const onlyUrls: Settings = { location, cookies: undefined, alias }
  return {
    request: fieldEdit(options.request, 'request'),
    informed: urls ? (headers, ctx, target) => rewriteValues(headers, ctx, target, onlyUrls) : undefined,
    response:
      urls || baked
        ? (headers, ctx, target) => {
            rewriteValues(headers, ctx, target, settings)
            rules?.(headers, ctx)
          }
        : rules,
  }
}

interface Settings {
  readonly location: 'origin' | 'all' | false
  readonly cookies: CookieRules | undefined
  /** Another name of every target, by scheme, where it makes a URL. */
  readonly alias: { readonly http: string | undefined; readonly https: string | undefined } | undefined
}

/** Changes the values of the fields that hold URLs or cookies. Most answers have none, and then nothing is made. */
function rewriteValues(headers: HeaderList, ctx: Seen, target: TargetName, settings: Settings): void {
  const { location, cookies } = settings
  let map: LocationMap | undefined
  let client: CookieClient | undefined
  const { length } = headers
  for (let i = 0; i < length; i += 2) {
    const name = headers[i] as string
    const kind = kindOf(name)
    if (kind === undefined) continue
    const value = headers[i + 1] as string
    if (kind === cookie) {
      if (cookies === undefined) continue
      client ??= { secure: schemeOf(ctx) === 'https', prefix: prefixOf(ctx) }
      headers[i + 1] = rewriteSetCookie(value, cookies, client)
    } else if (location !== false) {
      map ??= mapFor(ctx, target, settings)
      headers[i + 1] = kind(value, map)
    }
  }
}

type Mapping = (value: string, map: LocationMap) => string

const cookie = 'cookie'

/** What a field holds, if that may be changed. Most are passed on by the length of their name. */
function kindOf(name: string): Mapping | typeof cookie | undefined {
  switch (name.length) {
    case 4:
      return name.toLowerCase() === 'link' ? mapLinks : undefined
    case 7:
      return name.toLowerCase() === 'refresh' ? mapRefresh : undefined
    case 8:
      return name.toLowerCase() === 'location' ? mapLocation : undefined
    case 10:
      return name.toLowerCase() === 'set-cookie' ? cookie : undefined
    case 16:
      return name.toLowerCase() === 'content-location' ? mapLocation : undefined
    default:
      return undefined
  }
}

function mapFor(ctx: Seen, { origin, base }: TargetName, { location, alias }: Settings): LocationMap {
  const scheme = schemeOf(ctx)
  const other = origin.startsWith('https:') ? alias?.https : alias?.http
  const from = other === undefined ? [origin] : [origin, other]
  return {
    from,
    base,
    scheme,
    authority: authorityOf(ctx, scheme),
    prefix: prefixOf(ctx),
    all: location === 'all',
  }
}

function originOf(scheme: string, authority: string): string | undefined {
  try {
    return new URL(`${scheme}://${authority}`).origin
  } catch {
    return undefined
  }
}

function schemeOf({ client, scheme }: Seen): string {
  return client?.scheme ?? scheme
}

/** What the client has asked for, as far as it has the form of a host; else none, and nothing is mapped. */
function authorityOf({ client, authority }: Seen, scheme: string): string {
  const believed = client?.host === undefined ? undefined : parseAuthority(client.host)
  if (believed !== undefined) {
    const port = believed.port ?? client?.port
    return port === undefined || port === (scheme === 'https' ? 443 : 80)
      ? believed.host
      : `${believed.host}:${port}`
  }
  return isAuthority(authority) ? authority : ''
}

/** The path below which the client finds the target: that of proxies in front, the mount's, and what a route has taken off. */
function prefixOf({ client, req, stripped }: Seen): string {
  // As to the authority: the one that a trusted proxy tells goes with the prefix that it tells.
  const outer = client?.host === undefined ? '' : (client.prefix ?? '')
  const prefix = outer + mountPath(req) + (stripped ?? '')
  // A path, whoever has said it: anything else would be read as more of the authority.
  if (prefix.charCodeAt(0) !== 47) return ''
  return prefix.endsWith('/') ? prefix.slice(0, -1) : prefix
}
