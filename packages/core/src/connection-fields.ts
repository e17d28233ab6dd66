import { groupByName, type HeaderList } from '@sluice/headers'

/** Fields that `node:http2` takes once alone. */
const once = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
])

/**
 * Fields as `node:http2` takes them: none of an HTTP/1 connection, each name once. A field that it refuses to repeat becomes
 * one line, which says the same (RFC 9110 section 5.3): a target that sends `X-Content-Type-Options` twice is still served.
 */
export function http2Fields(headers: HeaderList): [name: string, value: string | string[]][] {
  const groups = groupByName(withoutConnectionFields(headers))
  for (const group of groups) {
    if (typeof group[1] !== 'string' && once.has(group[0].toLowerCase())) group[1] = group[1].join(', ')
  }
  return groups
}

/** RFC 9113 section 8.2.2: fields of an HTTP/1 connection don't go on HTTP/2. */
function withoutConnectionFields(headers: HeaderList): HeaderList {
  const out: HeaderList = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (/^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade|http2-settings|te)$/i.test(name))
      continue
    out.push(name, headers[i + 1] as string)
  }
  return out
}
