import type { LookupAddress, LookupAllOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { ProxyError } from '@sluice/core'
import { type CidrSet, cidrSet, fault, parse, that, v } from '@sluice/options'
import debug from 'debug'
import type { ConnectHook, ConnectTo } from './connect-hook.js'
import { canonicalAddress, prohibited } from './prohibited-address.js'
import { sharedLookup } from './shared-lookups.js'

const log = debug('sluice:forward')

/** Resolves a name to all of its addresses, as `dns.lookup` does with `all`. */
export type LookupAll = (
  name: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** Options of {@link safeTargets}. */
export interface SafeTargetsOptions {
  /**
   * What may be connected to beside public addresses: CIDR ranges, and Unix sockets by their exact path
   * (`'unix:/run/app.sock'`). Default: nothing.
   */
  allow?: string[]
  /** Resolves names. Default `dns.lookup`, once for connections that need the same name at the same time. */
  lookup?: LookupAll
}

const optionsSchema = v.strictObject({
  allow: v.optional(v.array(v.string()), []),
  lookup: v.optional(
    that<LookupAll>((value) => typeof value === 'function', 'a function like dns.lookup'),
    () => sharedLookup as LookupAll,
  ),
})

/**
 * For targets that follow from requests: connections go to public addresses alone, unless others are allowed. A name is resolved
 * once for a connection, each of its addresses is checked, and the connection goes to one that was. Refused addresses of a
 * name that has others are left out. What is refused is `destination_ip_prohibited`, 502; the client learns no address.
 * @throws TypeError for a wrong option
 */
export function safeTargets(options: SafeTargetsOptions = {}): ConnectHook {
  const { allow, lookup } = parse(optionsSchema, options, 'safeTargets')
  const sockets = socketsOf(allow)
  return new SafeTargets(rangesOf(allow), sockets, lookup)
}

const isSocket = (entry: string): boolean => entry.startsWith('unix:')

function rangesOf(allow: readonly string[]): CidrSet {
  // Sockets stand aside here, but faults name entries by their place in the whole list.
  cidrSet(
    allow.map((entry) => (isSocket(entry) ? '::' : entry)),
    'safeTargets.allow',
  )
  return cidrSet(allow.filter((entry) => !isSocket(entry)))
}

function socketsOf(allow: readonly string[]): ReadonlySet<string> {
  const paths = new Set<string>()
  allow.forEach((entry, i) => {
    if (!isSocket(entry)) return
    // Targets may be written 'unix:///run/app.sock' too.
    const path = entry.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
    if (!path.startsWith('/'))
      throw new TypeError(
        fault(`safeTargets.allow[${i}]`, `'${entry}'`, "an absolute path: 'unix:/run/app.sock'"),
      )
    paths.add(path)
  })
  return paths
}

class SafeTargets implements ConnectHook {
  readonly lookup: LookupFunction

  constructor(
    private readonly ranges: CidrSet,
    private readonly sockets: ReadonlySet<string>,
    resolve: LookupAll,
  ) {
    this.lookup = (name, options, callback) => {
      // All families are asked for, whatever is wanted, so that the log tells of each.
      resolve(name, { all: true, verbatim: true }, (error, found: unknown) => {
        if (error) return callback(error, '')
        const allowed = this.allowedOf(name, found)
        if (allowed instanceof ProxyError) return callback(allowed, '')
        const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : (options.family ?? 0)
        const fit = family === 0 ? allowed : allowed.filter((each) => each.family === family)
        const [first] = fit
        if (first === undefined)
          return callback(
            new ProxyError('dns_error', { message: `${name} has no address that is asked for` }),
            '',
          )
        if (options.all === true) callback(null, fit)
        else callback(null, first.address, first.family)
      })
    }
  }

  check(to: ConnectTo): void {
    if ('path' in to) {
      if (!this.sockets.has(to.path)) throw refused(`the Unix socket ${to.path}`, 'not allowed')
      return
    }
    if (isIP(to.host) === 0) return
    const why = this.whyNot(to.host)
    if (why !== undefined) throw refused(to.host, why)
  }

  private allowedOf(name: string, found: unknown): LookupAddress[] | ProxyError {
    const reasons: string[] = []
    const allowed: LookupAddress[] = []
    // Code without types may give anything, and what is thrown here would end the process.
    for (const each of Array.isArray(found) ? found : [found]) {
      const address = String((each as Partial<LookupAddress> | null | undefined)?.address)
      const why = this.whyNot(address)
      // What is connected to is what was checked, in that very form.
      const plain = canonicalAddress(address)
      if (why !== undefined || plain === undefined) reasons.push(`${address} (${why})`)
      else allowed.push({ address: plain, family: isIP(plain) })
    }
    if (allowed.length === 0 && reasons.length > 0) return refused(name, reasons.join(', '))
    if (reasons.length > 0 && log.enabled) log('%s: left out %s', name, reasons.join(', '))
    return allowed
  }

  private whyNot(address: string): string | undefined {
    const plain = canonicalAddress(address)
    if (plain === undefined) return 'no plain address'
    return this.ranges.has(plain) ? undefined : prohibited(plain)
  }
}

function refused(what: string, why: string): ProxyError {
  return new ProxyError('destination_ip_prohibited', { message: `no target may be at ${what}: ${why}` })
}
