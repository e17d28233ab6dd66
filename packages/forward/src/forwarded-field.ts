import { randomBytes } from 'node:crypto'
import type { Client, Context } from '@sluice/core'
import { type ForwardedElement, formatForwarded, isAuthority } from '@sluice/headers'
import { clientNameOf } from './client-name.js'

/** How `Forwarded` names those who called. */
export type Naming = 'real' | 'hidden' | 'unknown'

/**
 * The `Forwarded` field for a target (RFC 7239): the believed chain, written anew from what was understood of it, and behind it
 * our own element with the one who has called us. `by` is never written: it would name an interface of this machine, and who
 * wants to know of the proxy has its pseudonym in `Via`.
 */
export function forwardedField(ctx: Context, naming: Naming): string {
  const { client } = ctx as Context & Partial<Client>
  const name = clientNameOf(ctx)
  // The chain that goes before is made of addresses, too.
  if (name !== undefined)
    return formatForwarded({
      for: { name: naming === 'unknown' || name === '' ? 'unknown' : name },
      ...authority(client?.host ?? ctx.authority),
      proto: client?.scheme ?? ctx.scheme,
    })
  let text = ''
  for (const element of chainOf(client)) {
    const member = formatForwarded(naming === 'real' ? element : withoutAddresses(element))
    text = text === '' ? member : `${text}, ${member}`
  }
  // Without a chain that goes before it, ours is the element that speaks of the client.
  const heard = text === '' && client !== undefined ? client : undefined
  const own = formatForwarded({
    for: callerOf(ctx, heard, naming),
    ...authority(heard?.host ?? ctx.authority),
    proto: heard?.scheme ?? ctx.scheme,
  })
  return text === '' ? own : `${text}, ${own}`
}

/** What trusted proxies said before us, with nothing in it that isn't understood. */
function chainOf(client: Client['client'] | undefined): readonly ForwardedElement[] {
  if (client === undefined) return []
  const { believed, elements, host, scheme } = client
  if (elements !== undefined) return elements.map(understood)
  return believed.map((address, i) =>
    i === 0 ? { for: { name: address }, ...authority(host), proto: scheme } : { for: { name: address } },
  )
}

function understood({ for: caller, by, host, proto, extensions }: ForwardedElement): ForwardedElement {
  return {
    for: caller ?? { name: 'unknown' },
    ...(by === undefined ? {} : { by }),
    ...(host === undefined || !isAuthority(host) ? {} : { host }),
    ...(proto === undefined || !/^[a-z][a-z\d+.-]*$/i.test(proto) ? {} : { proto }),
    ...(extensions === undefined ? {} : { extensions }),
  }
}

/** The same without what may tell who somebody is; identifiers that others have made up say nothing, and stay. */
function withoutAddresses({ for: caller, host, proto }: ForwardedElement): ForwardedElement {
  return {
    for: caller !== undefined && caller.name[0] === '_' ? { name: caller.name } : { name: 'unknown' },
    ...(host === undefined ? {} : { host }),
    ...(proto === undefined ? {} : { proto }),
  }
}

function authority(host: string | undefined): { host?: string } {
  return host === undefined || host === '' ? {} : { host }
}

function callerOf(
  ctx: Context,
  heard: Client['client'] | undefined,
  naming: Naming,
): { name: string; port?: number } {
  if (naming === 'hidden') return { name: identifierOf(ctx) }
  const { peer } = ctx
  const name = heard?.address ?? peer.address
  // A Unix socket has no address.
  if (naming === 'unknown' || name === '') return { name: 'unknown' }
  return name === peer.address && peer.port > 0 ? { name, port: peer.port } : { name }
}

const identifiers = new WeakMap<object, string>()

/** One for each connection, made of chance alone (RFC 7239 section 6.3). */
function identifierOf({ req }: Context): string {
  // On HTTP/2 each stream has a socket object of its own; a stream that has ended has no session.
  const connection = 'stream' in req ? (req.stream.session ?? req.stream) : req.socket
  let identifier = identifiers.get(connection)
  if (identifier === undefined) {
    identifier = `_${randomBytes(9).toString('base64url')}`
    identifiers.set(connection, identifier)
  }
  return identifier
}
