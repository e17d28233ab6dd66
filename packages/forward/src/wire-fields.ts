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
 * carried on only where a trusted proxy said it. Content-Length is left out: it is made of the body that is sent.
 * @returns `undefined` if the request has passed this proxy before (RFC 9110 section 7.6.3)
 */
export function wireFields(ctx: Context, policy: FieldPolicy): HeaderList | undefined {
  const { headers } = ctx.out
  const { via, host } = policy
  const out: HeaderList = []
  if (host === 'original') {
    if (ctx.authority !== '') out.push('Host', ctx.authority)
  } else if (host !== 'target') {
    out.push('Host', host.fixed)
  }
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    switch (name.length) {
      case 3:
        if (via !== undefined && isVia(name) && passedBefore(value, via)) return undefined
        break
      case 4:
        if (name.toLowerCase() === 'host') continue
        break
      case 9:
        if (name.toLowerCase() === 'forwarded') continue
        break
      case 14:
        if (name.toLowerCase() === 'content-length') continue
        break
      default:
        // x-forwarded-for, -host, -proto, -port, -prefix and whatever else somebody may believe
        if (
          name.length > 14 &&
          name.charCodeAt(1) === 45 &&
          name.slice(0, 12).toLowerCase() === 'x-forwarded-'
        )
          continue
    }
    out.push(name, value)
  }
  forwardingFields(ctx, out)
  if (via !== undefined)
    out.push('Via', `${ctx.req.httpVersionMajor === 1 ? ctx.req.httpVersion : '2.0'} ${via}`)
  return out
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
