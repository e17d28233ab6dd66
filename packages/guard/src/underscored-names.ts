import type { HeaderList } from '@sluice/headers'

/**
 * Fields that frame a message, or that proxies write of who has sent it and take from clients. Servers of CGI's kind make `HTTP_X_FORWARDED_FOR`
 * of `x-forwarded-for` and of `x_forwarded_for` (RFC 3875 section 4.1.18), some of `x.forwarded.for` too, so that a client could say by the one
 * what the proxy takes away as the other.
 */
const owned =
  /^(?:content-length|transfer-encoding|keep-alive|proxy-.*|http2-settings|max-forwards|x-(?:original-)?forwarded-.*|x-real-ip|x-client-(?:ip|cert.*)|x-cluster-client-ip|x-remote-(?:addr|ip|user)|remote-(?:addr|user)|true-client-ip|cf-connecting-ip|fastly-client-ip|wl-proxy-.*|x-originating-ip|x-auth-request-.*|x-arr-.*|x-request-id|x-envoy-.*|client-cert(?:-chain)?|(?:x-)?ssl-.*|cdn-loop)$/
const odd = /[^\dA-Za-z-]/

/** Whether a name would pass for a field that proxies or framing own, though it isn't spelled like that. */
export function looksOwned(name: string): boolean {
  return odd.test(name) && owned.test(name.toLowerCase().replaceAll(/[^\da-z]/g, '-'))
}

/** The list without names that {@link looksOwned}, and with `all` without any that has a `_`. */
export function withoutUnderscored(list: readonly string[], all: boolean): HeaderList {
  const left: HeaderList = []
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    if (!looksOwned(name) && !(all && name.includes('_'))) left.push(name, list[i + 1] as string)
  }
  return left
}
