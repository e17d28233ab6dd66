import type { HeaderList } from '@sluice/headers'

/** RFC 9113 section 8.2.2: fields of an HTTP/1 connection don't go on HTTP/2. */
export function withoutConnectionFields(headers: HeaderList): HeaderList {
  const out: HeaderList = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (/^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade)$/i.test(name)) continue
    out.push(name, headers[i + 1] as string)
  }
  return out
}
