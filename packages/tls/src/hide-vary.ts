import type { Reply } from '@sluice/core'
import { getAll, type HeaderList, set } from '@sluice/headers'

const names = /(?:^|[,\s])(?:client-cert(?:-chain)?|x-forwarded-client-cert)(?:$|[,\s])/i

/**
 * Makes `*` of a `Vary` that names what only the target has seen: a client's cache would find it the same for everybody, absent
 * (RFC 9440 section 2.4).
 */
export function hideVary(reply: Reply): Reply {
  const headers = reply?.headers as HeaderList | undefined
  // A list that a cache holds is not edited.
  if (headers !== undefined && getAll(headers, 'vary').some((value) => names.test(value)))
    reply.headers = set([...headers], 'Vary', '*')
  return reply
}
