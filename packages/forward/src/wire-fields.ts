import type { Client, Context } from '@sluice/core'
import { type HeaderList, joinPath, mountPath } from '@sluice/headers'
import { clientNameOf } from './client-name.js'
import { forwardedField } from './forwarded-field.js'
import type { Forwarding } from './forwarding.js'
import { passedBefore } from './passed-before.js'

/** What `Host` says to the target: its own name, what the client asked for, or one name always. */
export type HostPolicy = 'target' | 'original' | { readonly fixed: string }

/** What is known when a chain is built. */
export interface FieldPolicy {
  readonly host: HostPolicy
  /** The pseudonym in `Via`, or none. */
  readonly via: string | undefined
  /** Which forwarding fields are written. */
  readonly forwarded: Forwarding
}

/**
 * The fields that go to a target, in one pass: `Host` by policy, forwarding fields written anew from what the proxy
 * itself knows, `Via` with its pseudonym. What a client says of itself in `Forwarded`, `X-Forwarded-*` or `X-Real-IP` is
 * dropped; what a trusted proxy said is carried on, in fields written anew. What tells of a client certificate is dropped,
 * too (RFC 9440 section 4: targets believe this proxy), unless the layer for that has judged it. Content-Length is that of the
 * body that is sent, whatever the field said (CVE-2026-29057 came of doing it otherwise); both stay where they stood.
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
  // What the layer for client certificates leaves in the list is its own, or a trusted proxy's.
  const judged = (ctx as { certificateFields?: unknown }).certificateFields === true
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
        if (field.toLowerCase() === 'forwarded' || /^x[^\da-z]real[^\da-z]ip$/i.test(field)) continue
        break
      case 11:
      case 17:
        if (
          (field.charCodeAt(0) | 32) === 99 &&
          !judged &&
          /^client[^\da-z]cert(?:[^\da-z]chain)?$/i.test(field)
        )
          continue
        break
      case 14:
        if (field.toLowerCase() !== 'content-length') break
        if (!hasLength && length !== undefined) out.push(field, String(length))
        hasLength = true
        continue
    }
    // x-forwarded-for, -host, -proto, -port, -prefix and whatever else somebody may believe
    if (isOneLetterWord(field) && /^x[^\da-z]forwarded[^\da-z]/i.test(field) && !(judged && isXfcc(field)))
      continue
    out.push(field, value)
  }
  // RFC 9110 section 7.2: Host first.
  if (!hasHost) out.unshift('Host', host)
  const { x, rfc7239 } = policy.forwarded
  if (rfc7239 !== false) out.push('Forwarded', forwardedField(ctx, rfc7239))
  if (x) xForwarded(ctx, out)
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

function xForwarded(ctx: Context, out: HeaderList): void {
  const client = (ctx as Context & Partial<Client>).client
  const { stripped } = ctx as { stripped?: unknown }
  // What the client's path has before the one that goes out: the mount's part, then what rewritePath took off.
  const prefix = mountPath(ctx.req) + (typeof stripped === 'string' ? stripped : '')
  const peer = ctx.peer.address
  const chain =
    clientNameOf(ctx) ??
    (client === undefined || client.believed.length === 0
      ? (client?.address ?? peer)
      : `${client.believed.join(', ')}, ${peer}`)
  if (chain !== '') out.push('X-Forwarded-For', chain)
  const host = client?.host ?? ctx.authority
  if (host !== '') out.push('X-Forwarded-Host', host)
  out.push('X-Forwarded-Proto', client?.scheme ?? ctx.scheme)
  // Only where it is told: of the port that the client has come by, Host says what there is to know.
  if (client?.port !== undefined) out.push('X-Forwarded-Port', String(client.port))
  const whole = joinPath(client?.prefix ?? '', prefix)
  if (whole !== '') out.push('X-Forwarded-Prefix', whole)
}

/** Whether a name begins like `x-`, or like `x_` or `x.`, which targets that speak CGI take for the same: most of them the one, some any mark. */
function isOneLetterWord(name: string): boolean {
  const second = name.charCodeAt(1) | 32
  return second < 97 || second > 122
}

function isXfcc(name: string): boolean {
  return name.length === 23 && name.toLowerCase() === 'x-forwarded-client-cert'
}

function usuallyHasContent(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH'
}

function isVia(name: string): boolean {
  return name.toLowerCase() === 'via'
}
