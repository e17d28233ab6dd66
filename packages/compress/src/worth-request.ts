import type { Outbound } from '@sluice/core'
import { get, type HeaderList, has } from '@sluice/headers'
import { type WhyNot, type Worth, whyNot } from './worth.js'

/** Why the body of a request goes out as it is. */
export type WhyNotRequest = WhyNot | 'method' | 'upgrade' | 'grpc' | 'signed'

/** They have no use for content, and a target that doesn't expect any takes its chunks for the next request (GHSA-ggv3-7p47-pfv8). */
const withoutContent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'])

const none: Readonly<HeaderList> = Object.freeze([])

/** Why the body of a request isn't compressed; `undefined` where it is worth it. */
export function whyNotRequest(
  out: Outbound,
  upgrade: string | undefined,
  worth: Worth,
): WhyNotRequest | undefined {
  const { method, headers, body } = out
  if (body === null) return 'no-body'
  if (withoutContent.has(method)) return 'method'
  // What follows is another protocol's.
  if (upgrade !== undefined) return 'upgrade'
  // It codes each of its messages by itself, as both ends have agreed.
  if (/^\s*application\/grpc/i.test(get(headers, 'content-type') ?? '')) return 'grpc'
  // Over a digest of the bytes (RFC 9421 section 7.2.8; AWS has a field of its own): it would no longer hold.
  if (has(headers, 'signature-input') || has(headers, 'x-amz-content-sha256')) return 'signed'
  return whyNot(method, none, { status: 200, headers, body }, worth)
}
