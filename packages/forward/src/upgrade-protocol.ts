import { ProxyError } from '@sluice/core'

/**
 * A target changes to one of the protocols that it was asked for, or several of them, one upon the other (RFC 9110 section
 * 7.8). To any other the client would have to speak what it doesn't, and `h2c` would carry requests past every rule.
 * @throws ProxyError http_protocol_error
 */
export function checkProtocol(asked: string, got: string): void {
  const known = members(asked)
  if (members(got).every((protocol) => known.includes(protocol))) return
  const message = `a change to ${JSON.stringify(got.slice(0, 60))}, which nobody has asked for`
  throw new ProxyError('http_protocol_error', { message })
}

function members(list: string): string[] {
  return list.split(',').map((member) => member.trim().toLowerCase())
}
