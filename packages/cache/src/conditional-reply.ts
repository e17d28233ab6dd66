import type { Reply } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

/** Fields of a 304 (RFC 9110 section 15.4.5), and those that tell caches further out how long what they hold is good. */
const kept = new Set([
  'age',
  'cache-control',
  'cache-status',
  'cdn-cache-control',
  'content-location',
  'date',
  'etag',
  'expires',
  'last-modified',
  'vary',
])

/** Of the fields of a 200 those that a 304 in its place has. */
export function fieldsOf304(headers: HeaderList): HeaderList {
  const list: HeaderList = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (kept.has(name.toLowerCase())) list.push(name, headers[i + 1] as string)
  }
  return list
}

/** What the client has is still good. */
export function notModified(headers: HeaderList): Reply {
  return { status: 304, headers: fieldsOf304(headers), body: null }
}

/** The client's condition doesn't hold (RFC 9110 section 15.5.13). */
export function preconditionFailed(): Reply {
  return { status: 412, headers: ['Content-Length', '0'], body: null }
}
