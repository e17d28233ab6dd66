import { Readable } from 'node:stream'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import { ProxyError, type ProxyErrorCode, type Reply } from '@sluice/core'
import { get, type HeaderList, remove } from '@sluice/headers'

/** Codings that `fetch` takes off a body, and leaves in the fields. */
const decoded =
  /^\s*(?:x-gzip|gzip|x-deflate|deflate|br|zstd)(?:\s*,\s*(?:x-gzip|gzip|x-deflate|deflate|br|zstd))*\s*$/i

/** What a `fetch` has brought, as a reply: with the fields that are true of the bytes as they come. */
export function replyOfResponse(response: Response): Reply {
  const headers: HeaderList = []
  for (const [name, value] of response.headers) headers.push(name, value)
  const coding = get(headers, 'content-encoding')
  if (coding !== undefined && response.status !== 206) {
    remove(headers, 'content-length')
    if (decoded.test(coding)) remove(headers, 'content-encoding')
  }
  return {
    status: response.status,
    ...(response.statusText === '' ? undefined : { reason: response.statusText }),
    headers,
    body: response.body === null ? null : Readable.fromWeb(response.body as NodeStream),
  }
}

const codes: Readonly<Record<string, ProxyErrorCode>> = {
  ECONNREFUSED: 'connection_refused',
  ENOTFOUND: 'dns_error',
  EAI_AGAIN: 'dns_error',
  UND_ERR_CONNECT_TIMEOUT: 'connection_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'http_response_timeout',
}

/** What `fetch` has rejected with, by the words of the cache, which may then serve something stale; the caller gets the cause. */
export function fetchFailure(cause: unknown): ProxyError {
  const { code } = ((cause as { cause?: unknown } | undefined)?.cause ?? {}) as { code?: string }
  return new ProxyError(codes[code ?? ''] ?? 'connection_terminated', { cause })
}
