import type { IncomingMessage } from 'node:http'

/**
 * What the client of an upgrade wants to go over to: one protocol, or a list to choose from. RFC 9110 section 7.8: a server may
 * ignore any of them, and has to where the request is one of HTTP/1.0. An h2c tunnel would carry requests past every rule of the proxy, so nobody hears of h2c.
 */
export function offeredProtocols({ headers, httpVersion }: IncomingMessage): string | undefined {
  if (httpVersion === '1.0') return undefined
  const protocols = headers.upgrade?.trim().toLowerCase()
  if (protocols === undefined || !protocols.includes('h2c')) return protocols
  const others = protocols.split(',').filter((protocol) => !/^\s*(h2c\s*(\/|$)|$)/.test(protocol))
  return others.length === 0 ? undefined : others.join(',').trim()
}
