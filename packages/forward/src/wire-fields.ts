import type { Client, Context } from '@sluice/core'
import { get, type HeaderList } from '@sluice/headers'

/** What `Host` says to the target: its own name, what the client asked for, or one name always. */
export type HostPolicy = 'target' | 'original' | { readonly fixed: string }

/** What is known when a chain is built. */
export interface FieldPolicy {
  readonly host: HostPolicy
  /** The pseudonym in `Via`, or none. */
  readonly via: string | undefined
}

/**
 * The fields that go to a target, in one pass: `Host` by policy, forwarding fields written anew from what the proxy
 * itself knows, `Via` with its pseudonym. What a client says of itself in `Forwarded` or `X-Forwarded-*` is dropped; it is
 * carried on only where a trusted proxy said it. Content-Length is that of the body that is sent, whatever the field said
 * (CVE-2026-29057 came of doing it otherwise); both stay where they stood.
 * @param name the target's own, for `Host`
 * @param length of the body, where it is known
 * @returns `undefined` if the request has passed this proxy before (RFC 9110 section 7.6.3)
 */
export function wireFields(
  ctx: Context,
  policy: FieldPolicy,
  name: string,
  length: number | undefined,
): HeaderList | undefined {
  const { headers, method } = ctx.out
  const { via } = policy
  // RFC 9112 section 3.2: of a CONNECT it is what the request-target says.
  const host = method === 'CONNECT' ? ctx.out.path : hostValue(policy.host, ctx.authority, name)
  const out: HeaderList = []
  let hasHost = false
  let hasLength = false
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string
    const value = headers[i + 1] as string
    switch (field.length) {
      case 3:
        if (via !== undefined && isVia(field) && passedBefore(value, via)) return undefined
        break
      case 4:
        if (field.toLowerCase() !== 'host') break
        if (!hasHost) out.push(field, host)
        hasHost = true
        continue
      case 9:
        if (field.toLowerCase() === 'forwarded') continue
        break
      case 14:
        if (field.toLowerCase() !== 'content-length') break
        if (!hasLength && length !== undefined) out.push(field, String(length))
        hasLength = true
        continue
    }
    // x-forwarded-for, -host, -proto, -port, -prefix and whatever else somebody may believe
    if (field.charCodeAt(1) === 45 && field.slice(0, 12).toLowerCase() === 'x-forwarded-') continue
    out.push(field, value)
  }
  // RFC 9110 section 7.2: Host first.
  if (!hasHost) out.unshift('Host', host)
  forwardingFields(ctx, out)
  if (via !== undefined)
    out.push('Via', `${ctx.req.httpVersionMajor === 1 ? ctx.req.httpVersion : '2.0'} ${via}`)
  // Without it some servers wait for a body that these methods usually have (RFC 9110 section 8.6).
  if (!hasLength && length !== undefined && (length > 0 || usuallyHasContent(method)))
    out.push('Content-Length', String(length))
  return out
}

function hostValue(policy: HostPolicy, asked: string, name: string): string {
  if (policy === 'target') return name
  return policy === 'original' ? asked || name : policy.fixed
}

function forwardingFields(ctx: Context, out: HeaderList): void {
  const client = (ctx as Context & Partial<Client>).client
  const baseUrl = (ctx.req as { baseUrl?: unknown }).baseUrl
  const prefix = typeof baseUrl === 'string' ? baseUrl : ''
  const peer = ctx.peer.address
  if (client === undefined || client.believed.length === 0) {
    const address = client?.address ?? peer
    if (address !== '') out.push('X-Forwarded-For', address)
    if (ctx.authority !== '') out.push('X-Forwarded-Host', ctx.authority)
    out.push('X-Forwarded-Proto', client?.scheme ?? ctx.scheme)
    if (prefix !== '') out.push('X-Forwarded-Prefix', prefix)
    return
  }
  const { headers } = ctx.out
  out.push('X-Forwarded-For', `${client.believed.join(', ')}, ${peer}`)
  out.push('X-Forwarded-Host', get(headers, 'x-forwarded-host') ?? ctx.authority)
  out.push('X-Forwarded-Proto', client.scheme)
  const outer = get(headers, 'x-forwarded-prefix') ?? ''
  if (outer + prefix !== '') out.push('X-Forwarded-Prefix', outer + prefix)
}

function usuallyHasContent(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH'
}

function isVia(name: string): boolean {
  return name.toLowerCase() === 'via'
}

/** Whether a member of this Via value was received by `pseudonym`. */
function passedBefore(value: string, pseudonym: string): boolean {
  return (
    value.includes(pseudonym) &&
    value.split(',').some((member) => member.trim().split(/\s+/)[1] === pseudonym)
  )
}
