import type { HeaderList } from '@sluice/headers'

const telling =
  /^(?:www-authenticate|proxy-authenticate|retry-after|ratelimit|ratelimit-policy|allow|accept|accept-encoding|accept-patch|accept-post|sec-websocket-version|cache-status|access-control-.+)$/i

/**
 * Fields of a replaced reply that tell a client what to do about the status, and not of the body that is gone: the challenge
 * without which a 401 is none (RFC 9110 section 11.6.1), when to come back (10.2.3), which methods there are (10.2.1), which
 * contents and codings (12.5.1, 12.5.3), what is left of its limits (draft-ietf-httpapi-ratelimit-headers-10), which version to
 * upgrade to (RFC 6455 section 4.4). And what lets a script of another site read the status at all. All else goes: validators, cookies,
 * `Server` and whatever names the target. What caches have done with the request stays true (RFC 9211).
 * @returns a new list
 */
export function statusFields(headers: HeaderList): HeaderList {
  const told: HeaderList = []
  for (let i = 0; i < headers.length; i += 2)
    if (telling.test(headers[i] as string)) told.push(headers[i] as string, headers[i + 1] as string)
  return told
}
