import { ProxyError } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

/**
 * What is wrong with the transfer codings of an answer that a parser other than ours has read: `chunked`, once, is all that such a parser takes off.
 * Transfer-Encoding is of this hop and goes no further, so a client, and a cache for all who come later, would take what another coding has made
 * for the content (RFC 9112 section 6.1). No target was asked for one (section 7.4). What has no body has nothing that is coded.
 * @param headers as they came, with those of the hop
 * @returns http_protocol_error, or `undefined`
 */
export function codingFault(headers: HeaderList, method: string, status: number): ProxyError | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return undefined
  let coding: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length !== 17 || name.toLowerCase() !== 'transfer-encoding') continue
    // Parsers take the first, the last or both.
    if (coding !== undefined) return fault('more than one Transfer-Encoding')
    coding = headers[i + 1] as string
    // Undici leaves the blanks behind a value there. A tab there hides the coding from Node's parser, which then takes off none.
    if (!/^chunked *$/i.test(coding)) return fault('a Transfer-Encoding other than chunked')
  }
  return undefined
}

function fault(message: string): ProxyError {
  return new ProxyError('http_protocol_error', { message })
}
