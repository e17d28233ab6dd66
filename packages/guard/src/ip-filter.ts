import { type Client, type Middleware, ProxyError } from '@sluice/core'
import { parse, v } from '@sluice/options'
import { type IpList, type IpListSeams, ipList } from './ip-list.js'
import { type IpSource, ipSource, isIpSet } from './ip-source.js'
import type { IpSet } from './ip-trie.js'

/** Options of {@link ipFilter}: one of the two, or both. */
export interface IpFilterOptions {
  /** Nobody else passes. Default: everybody. */
  allow?: IpSource | IpSet
  /** These don't pass, whatever `allow` says. Default: nobody. */
  deny?: IpSource | IpSet
}

/** Validates {@link IpFilterOptions}. */
export const ipFilterOptions = v.pipe(
  v.strictObject({ allow: v.optional(ipSource), deny: v.optional(ipSource) }),
  v.check(({ allow, deny }) => allow !== undefined || deny !== undefined, 'allow, deny or both'),
)

/**
 * Lets requests pass by the address of their client: `ctx.client.address`, which is as good as what `clientAddress` trusts. Who is denied, or not among
 * those allowed, gets 403 `http_request_denied`; the log says why: `ip-denied`, `ip-not-allowed`, or `ip-list-missing` while a list has not been
 * loaded for the first time. An address that is in both lists is denied, also if the entry of `allow` is the narrower one. A client without an address
 * (over a Unix socket) is in no list: an allow list refuses it, a deny list doesn't.
 *
 * `Symbol.dispose` ends the lists that it has made; a list that it was given is its owner's.
 * @param path the option's, for errors
 * @throws TypeError for a wrong option or entry, and for a file that can't be read
 */
export function ipFilter(
  options: IpFilterOptions,
  path = 'ipFilter',
  seams: IpListSeams = {},
): Middleware<Client> & Disposable {
  const { allow: allowed, deny: denied } = parse(ipFilterOptions, options, path) as IpFilterOptions
  const own: IpList[] = []
  const made = (source: IpSource | IpSet | undefined, name: string): IpSet | undefined => {
    if (source === undefined || isIpSet(source)) return source
    const list = ipList(source, `${path}.${name}`, seams)
    own.push(list)
    return list
  }
  const dispose = (): void => {
    for (const list of own) list[Symbol.dispose]()
  }
  let allow: IpSet | undefined
  let deny: IpSet | undefined
  try {
    allow = made(allowed, 'allow')
    deny = made(denied, 'deny')
  } catch (error) {
    dispose()
    throw error
  }
  const middleware: Middleware<Client> = (next) => (ctx) => {
    const reason = whyNot(ctx.client.address, allow, deny)
    if (reason !== undefined) throw new ProxyError('http_request_denied', { reason })
    return next(ctx)
  }
  return Object.assign(middleware, { [Symbol.dispose]: dispose })
}

function whyNot(address: string, allow: IpSet | undefined, deny: IpSet | undefined): string | undefined {
  if (isMissing(deny) || isMissing(allow)) return 'ip-list-missing'
  if (deny?.has(address) === true) return 'ip-denied'
  if (allow?.has(address) === false) return 'ip-not-allowed'
  return undefined
}

function isMissing(list: IpSet | (IpSet & { readonly loaded: boolean }) | undefined): boolean {
  return list !== undefined && 'loaded' in list && !list.loaded
}
