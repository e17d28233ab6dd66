import { groupByName, type HeaderList, http2Values } from '@sluice/headers'

/**
 * Fields as `node:http2` takes them: none of an HTTP/1 connection, each name once. A target that sends one twice which Node
 * refuses to repeat, `X-Content-Type-Options` say, is still served.
 */
export function http2Fields(headers: HeaderList): [name: string, value: string | string[]][] {
  const groups = groupByName(withoutConnectionFields(headers))
  for (const group of groups) group[1] = http2Values(group[0].toLowerCase(), group[1])
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
