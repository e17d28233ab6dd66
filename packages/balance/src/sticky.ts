import type { Target } from '@sluice/upstream'
import { AffinitySeal } from './affinity-seal.js'
import { type Affinity, type Balancer, withParts } from './balancer.js'
import { cookieValues } from './cookie-values.js'
import { needPolicy } from './policy-options.js'
import { resolveSticky, type StickyOptions, type StickySettings } from './sticky-options.js'

/** As much of a context as sticky needs: the request's fields. */
export interface WithFields {
  readonly out: { readonly headers: readonly string[] }
}

/**
 * A policy that keeps each client on the target that it was first given, by a cookie that shows no target. For apps that keep sessions in
 * memory; where any target can serve any client, leave it: load is less even, and a slow target keeps its clients.
 *
 * - No cookie of ours, or one that was tampered with: the policy picks, and `balance` adds the cookie to the first answer below 500.
 * - A cookie of an older secret: the same, but for the target that it has.
 * - The target is full, was tried, is ejected, unhealthy or draining: the policy picks for this attempt. The cookie stays, so the client
 *   is back as soon as its target is.
 * - The target has left the upstream: `gone`. 503 is `balance`'s to give; called by itself the policy picks another.
 *
 * The cookie is in the reply that `balance` passes on: a shared cache further out must not store it for others.
 *
 * `balance` looks for the target among all of the upstream; called by itself the policy looks among those it is given. It stands outside
 * the policy that it wraps; other wrappers around it change only what clients without a cookie get.
 * Cost: that of the policy; with a cookie instead some microseconds for HMAC-SHA-256 or AES-256-GCM; a new list costs an HMAC a target.
 * @throws TypeError for a wrong option, or a policy that is no function
 */
export function sticky<C = unknown>(policy: Balancer<C>, options: StickyOptions): Balancer<C & WithFields> {
  needPolicy(policy, 'sticky')
  const affinity = new CookieAffinity(resolveSticky(options))
  return withParts<C & WithFields>(
    (available, ctx, not) => {
      const bound = affinity.bound(ctx, available)
      return typeof bound === 'object' && not?.(bound) !== true ? bound : policy(available, ctx, not)
    },
    { affinity },
    policy,
  )
}

class CookieAffinity implements Affinity {
  readonly gone: 'repick' | 'refuse'
  private readonly seals: readonly AffinitySeal[]
  private readonly attributes: string
  /** Requests with a cookie of another secret than the first. */
  private readonly old = new WeakSet<object>()

  constructor(private readonly settings: StickySettings) {
    const { secret, name, encrypt, gone } = settings
    this.gone = gone
    this.seals = [secret].flat().map((each) => new AffinitySeal(each, name, encrypt))
    this.attributes = attributesOf(settings)
  }

  bound(ctx: unknown, all: readonly Target[]): Target | 'gone' | undefined {
    let gone: 'gone' | undefined
    for (const value of cookieValues((ctx as WithFields).out.headers, this.settings.name)) {
      for (const [i, seal] of this.seals.entries()) {
        const bound = seal.open(value, all)
        if (typeof bound === 'object') {
          if (i > 0) this.old.add(ctx as WithFields)
          return bound
        }
        gone ??= bound
      }
    }
    return gone
  }

  outdated(ctx: unknown): boolean {
    return this.old.has(ctx as WithFields)
  }

  cookie(target: Target, ctx: unknown): string {
    const { name, secure } = this.settings
    const value = (this.seals[0] as AffinitySeal).seal(target)
    const safe = secure === 'auto' ? schemeOf(ctx) === 'https' : secure
    return `${name}=${value}${this.attributes}${safe ? '; Secure' : ''}`
  }
}

/** How the client came: what a proxy of our own in front says of it, where that is believed. */
function schemeOf(ctx: unknown): string | undefined {
  const { client, scheme } = ctx as { client?: { scheme?: string }; scheme?: string }
  return client?.scheme ?? scheme
}

const sameSites = { strict: 'Strict', lax: 'Lax', none: 'None' }

/** The attributes that are the same in each `Set-Cookie` (RFC 6265 section 4.1). */
function attributesOf({ path, domain, sameSite, httpOnly, maxAge }: StickySettings): string {
  return [
    `; Path=${path}`,
    domain === undefined ? '' : `; Domain=${domain}`,
    maxAge === undefined || maxAge === 0 ? '' : `; Max-Age=${Math.ceil(maxAge / 1000)}`,
    httpOnly ? '; HttpOnly' : '',
    `; SameSite=${sameSites[sameSite]}`,
  ].join('')
}
