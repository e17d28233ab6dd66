import { lineCode } from './left-line.js'
import { ownLimits } from './own-limits.js'

/** Codes of the system, of Node and of undici that tell of a connection, a lookup, TLS or bytes that are no HTTP. */
const codes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'EPROTO',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENOTCONN',
  'ENOTFOUND',
  'ENODATA',
  'ESERVFAIL',
  'EREFUSED',
  'ETIMEOUT',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'ERR_HTTP2_ERROR',
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_PING_CANCEL',
  'ERR_HTTP2_SESSION_ERROR',
  'ERR_HTTP2_STREAM_CANCEL',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_SOCKET_CLOSED',
  'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
  'ERR_SOCKET_CONNECTION_TIMEOUT',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_TLS_HANDSHAKE_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_SOCKET',
])

/** Of the parser of HTTP, and of OpenSSL about a peer's certificate or handshake. `ERR_OSSL_` is about one's own keys. */
const families =
  /^(HPE_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH$|INVALID_CA$|INVALID_PURPOSE$)/

/**
 * What the system says of this process: all targets would suffer for it that no file or port is left to open. And what a transport says of
 * its own limit: a request that has waited for a connection was never sent.
 */
const limits = new Set<unknown>([...ownLimits, 'EADDRNOTAVAIL', lineCode])

/**
 * What Node, undici and the system say of a call that was wrong. Others of `ERR_`, `ERR_STREAM_DESTROYED` for instance, may come of
 * what either side has done.
 */
const bugs = new RegExp(
  [
    '^ERR_(INVALID|MISSING|ILLEGAL|UNKNOWN|UNSUPPORTED|OUT_OF|HTTP|TLS_INVALID|OSSL|SOCKET_BAD)_',
    '^ERR_(HTTP2_INVALID_(?!SESSION|STREAM)|METHOD_NOT_IMPLEMENTED$|UNESCAPED_CHARACTERS$|STREAM_NULL_VALUES$)',
    '^UND_ERR_(INVALID_|NOT_SUPPORTED$|REQ_|ABORTED$|CLOSED$|DESTROYED$)',
    '^(ENOENT|EACCES|EISDIR|ENOTDIR)$',
  ].join('|'),
)

/** Errors on the way down to the first: more than any has, but for those that go round. */
const deepest = 8

/** As much of an error as is looked at. */
interface Failure {
  readonly name?: unknown
  readonly code?: unknown
  readonly syscall?: unknown
  readonly source?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
}

/**
 * Whether an error is one of the network: no connection or no whole answer, also beneath `fetch failed` or one for each address, a
 * timeout (`TimeoutError`), or a `ProxyError` whose source is the upstream. It goes by codes that are known: a bug of one's own
 * (`ERR_INVALID_ARG_TYPE`), a file that isn't there, or a limit of this process (`EMFILE`) says nothing of whom was called.
 */
export function isNetworkError(error: unknown): boolean {
  return kindOf(error) === 'network'
}

/**
 * Whether an error is a fault of one's own, which is no word of whoever was called: a call that was given up (`AbortError`; a timeout
 * is none), a bug (`ERR_INVALID_ARG_TYPE`), a file that isn't there, a limit of this process (`EMFILE`), or a `ProxyError` whose
 * source is the client or the proxy. Never true where `isNetworkError` is.
 */
export function isOwnFault(error: unknown): boolean {
  return kindOf(error) === 'own'
}

/** The first level that tells decides. */
function kindOf(error: unknown): 'network' | 'own' | undefined {
  let each = error
  for (let depth = 0; depth < deepest; depth++) {
    if (!(each instanceof Error)) return undefined
    const { name, code, syscall, source, cause, errors } = each as Failure
    // It knows whose fault it is, but for what stopped this process ahead of the connect.
    if (name === 'ProxyError')
      return source === 'upstream' && !limits.has((cause as Failure | undefined)?.code) ? 'network' : 'own'
    if (name === 'AbortError') return 'own'
    if (name === 'TimeoutError') return 'network'
    if (typeof code === 'string') {
      if (codes.has(code) || families.test(code)) return 'network'
      // A Unix socket that nobody listens at; of a file they are something else.
      if (syscall === 'connect' && (code === 'ENOENT' || code === 'EACCES')) return 'network'
      if (limits.has(code) || bugs.test(code)) return 'own'
    }
    each = cause ?? (Array.isArray(errors) ? errors[0] : undefined)
  }
  return undefined
}
