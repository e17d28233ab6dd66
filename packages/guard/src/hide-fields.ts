import { type HeaderList, rewriteSetCookie } from '@sluice/headers'
import type { HiddenOrigins, PublicPlace } from './hidden-origins.js'
import type { Goes } from './tell-tales.js'

/** Fields in which no name can stand, or in which another one would break the message. */
const plain: ReadonlySet<string> = new Set([
  'age',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'date',
  'expires',
  'last-modified',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'transfer-encoding',
  'upgrade',
  'vary',
])

/** Takes out of a list of fields, in place, what tells who serves. */
export function hideFields(
  headers: HeaderList,
  goes: Goes,
  hidden: HiddenOrigins,
  place: PublicPlace,
): HeaderList {
  const names = hidden.size > 0
  let to = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const lower = name.toLowerCase()
    if (goes(lower)) continue
    let value = headers[i + 1] as string
    if (names && !plain.has(lower)) {
      if (lower === 'content-type') value = mediaType(value, hidden, place)
      else {
        if (lower === 'set-cookie') value = cookie(value, hidden, place)
        value = hidden.value(value, place)
      }
    }
    headers[to++] = name
    headers[to++] = value
  }
  headers.length = to
  return headers
}

/** A parameter may be a URL (`profile`, RFC 6906); the type itself looks like names do. A boundary stands in the body, too, and so it stays. */
function mediaType(value: string, hidden: HiddenOrigins, place: PublicPlace): string {
  return value.includes(';') && !/^\s*multipart\//i.test(value) ? hidden.urls(value, place) : value
}

const domainOf = /;\s*domain\s*=\s*"?\.?([^;\s"]+)/gi
const withoutDomain = { domain: false } as const

/** A cookie for the domain of a target would never come back, and says where that is: it becomes one for the client's host alone. */
function cookie(value: string, hidden: HiddenOrigins, place: PublicPlace): string {
  const own = place.authority.replace(/:\d*$/, '').toLowerCase()
  for (const [, domain = ''] of value.matchAll(domainOf)) {
    const lower = domain.toLowerCase().replace(/\.$/, '')
    const isOwn = own === lower || own.endsWith(`.${lower}`)
    if (!isOwn && hidden.isWithin(lower))
      return rewriteSetCookie(value, withoutDomain, { secure: place.scheme === 'https', prefix: '' })
  }
  return value
}
