/** What a client hears of an error of its connection, and what the log calls it. */
export interface ClientFault {
  /** 0: there is nobody to tell, or nothing that could be told. */
  readonly status: number
  readonly reason: string
}

type ParserError = Error & {
  readonly code?: string
  readonly rawPacket?: Uint8Array
}

/** What isn't 400, or has another name than the parser's. RFC 9110 sections 15.5.9 and 15.6.6, RFC 6585 section 5. */
const faults: Record<string, ClientFault> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, reason: 'request-timeout' },
  HPE_HEADER_OVERFLOW: { status: 431, reason: 'head-too-large' },
  HPE_PAUSED_H2_UPGRADE: { status: 505, reason: 'http2-preface' },
}

/**
 * Reads an error that a server tells in `clientError`. Errors of the parser have names, and become reasons as they are:
 * `HPE_INVALID_CONTENT_LENGTH` is `invalid-content-length`. What isn't about a request has no status: the client has reset the
 * connection, or speaks no TLS.
 * @param maxHeaderSize bytes of a head: where the first line alone has more, the request-target is too long
 */
export function clientFault(error: Error, maxHeaderSize: number): ClientFault {
  const { code = '', rawPacket } = error as ParserError
  if (code === 'HPE_HEADER_OVERFLOW' && rawPacket !== undefined && isLongLine(rawPacket, maxHeaderSize))
    return { status: 414, reason: 'url-too-long' }
  const known = faults[code]
  if (known !== undefined) return known
  const name = kebab(code.replace(/^(?:HPE|ERR)_/, ''))
  return { status: code.startsWith('HPE_') ? 400 : 0, reason: name === '' ? 'connection-error' : name }
}

/** Whether bytes begin with a method and a space, and no line ends within the limit: so nearly all of it is the request-target. */
function isLongLine(bytes: Uint8Array, limit: number): boolean {
  const start = String.fromCharCode(...bytes.subarray(0, 32))
  if (!/^[A-Z]+ /.test(start)) return false
  const end = bytes.indexOf(0x0a)
  return end === -1 || end >= limit
}

function kebab(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}
