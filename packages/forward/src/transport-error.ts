import { ProxyError, type ProxyErrorCode } from '@sluice/core'
import { ownLimits } from '@sluice/upstream'

/** How far an attempt has come when something fails. */
export type Progress = 'connecting' | 'sent' | 'answered'

/** Errors that mean the same at any time. */
const always: Record<string, ProxyErrorCode> = {
  UND_ERR_CONNECT_TIMEOUT: 'connection_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'http_response_timeout',
  UND_ERR_BODY_TIMEOUT: 'connection_read_timeout',
  UND_ERR_HEADERS_OVERFLOW: 'http_response_header_section_size',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'http_request_error',
  UND_ERR_INVALID_ARG: 'http_request_error',
  UND_ERR_NOT_SUPPORTED: 'request_unsupported',
  UND_ERR_CLOSED: 'proxy_closing',
  UND_ERR_DESTROYED: 'proxy_closing',
  HPE_HEADER_OVERFLOW: 'http_response_header_section_size',
  ECONNREFUSED: 'connection_refused',
  ENOENT: 'connection_refused',
  EACCES: 'connection_refused',
  ENOTFOUND: 'dns_error',
  EAI_AGAIN: 'dns_error',
  EHOSTUNREACH: 'destination_ip_unroutable',
  ENETUNREACH: 'destination_ip_unroutable',
  EADDRNOTAVAIL: 'destination_ip_unroutable',
}

const certificate =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|CRL_|INVALID_CA|INVALID_PURPOSE)/

/**
 * The target wants another certificate of ours than it got, or one at all. In TLS 1.3 it says so when for us the handshake is
 * over (RFC 8446 section 4.4.2.4), and it has read nothing of the request.
 */
const refusesOurs =
  /^ERR_SSL_\w+_ALERT_(BAD_CERTIFICATE|CERTIFICATE_\w+|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)$/

/**
 * What an error of the socket, of TLS or of undici means for the exchange.
 * @param kept the connection was a kept one, and not a byte of an answer has come: said of its end and its reset alone, which the
 * target may do to it at any time
 */
export function transportError(cause: unknown, progress: Progress, target: string, kept = false): ProxyError {
  if (cause instanceof ProxyError && !(kept && cause.code === 'connection_terminated')) return cause
  const { code: found, message } = describe(cause)
  if (progress === 'connecting' && ownLimits.has(found)) {
    // Where the target refused, another one would be tried: that would take a file as well, and logs would name the wrong side.
    return new ProxyError('proxy_overloaded', {
      message: `${message} [${target}]`,
      reason: 'no-socket',
      cause,
      target,
    })
  }
  const code = codeFor(found, progress)
  // A time that is over is a host that is gone.
  const reused = kept && code === 'connection_terminated' && found !== 'ETIMEDOUT'
  return new ProxyError(code, { message: `${message} [${target}]`, cause, target, reused })
}

/** The connection was lost, which nobody has decided. */
export function isLoss(cause: Error): boolean {
  return !(cause instanceof ProxyError) || cause.code === 'connection_terminated'
}

function codeFor(code: string, progress: Progress): ProxyErrorCode {
  const known = always[code]
  if (known !== undefined) return known
  if (progress === 'answered') return 'http_response_incomplete'
  if (code.startsWith('HPE_')) return 'http_protocol_error'
  if (progress === 'sent') return refusesOurs.test(code) ? 'tls_protocol_error' : 'connection_terminated'
  if (code === 'ETIMEDOUT') return 'connection_timeout'
  if (certificate.test(code)) return 'tls_certificate_error'
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return 'tls_protocol_error'
  // Reset, or closed during the handshake: the target took no request.
  return 'connection_refused'
}

/** Code and text of an error; of an aggregate (one error an address tried) the first code and every text. */
function describe(cause: unknown): { code: string; message: string } {
  if (!(cause instanceof Error)) return { code: '', message: String(cause) }
  const { errors } = cause as { errors?: unknown }
  const inner = Array.isArray(errors) ? errors.filter((error): error is Error => error instanceof Error) : []
  const code = (cause as { code?: unknown }).code ?? (inner[0] as { code?: unknown } | undefined)?.code
  const message = cause.message === '' ? inner.map((error) => error.message).join('; ') : cause.message
  return { code: typeof code === 'string' ? code : '', message }
}
