import type { ProxyErrorCode } from '@sluice/core'

/**
 * The rules of `validate`: the name that reaches the log, the error that it is, and what is wrong in words. Nothing of the request is in them.
 */
export const requestRules = {
  'target-length': ['http_request_uri_length', 'the request-target is longer than maxUrl'],
  'target-bytes': ['http_request_error', 'the request-target has bytes that are no visible ASCII'],
  'target-fragment': ['http_request_error', 'the request-target has a #'],
  'target-scheme': ['http_request_error', 'the request-target has a scheme other than http and https'],
  'target-differs': ['http_request_error', 'the Host field and the request-target name two hosts'],
  'path-backslash': ['http_request_error', 'the path has a backslash'],
  'path-nul': ['http_request_error', 'the path has an encoded NUL'],
  'path-line-break': ['http_request_error', 'the path has an encoded line break'],
  'path-dot-segment': ['http_request_error', 'the path has a dot segment'],
  'path-encoding': ['http_request_error', 'the path does not decode'],
  'query-parameters': ['http_request_error', 'the query has more than maxQueryParameters'],
  connect: ['request_unsupported', 'a CONNECT, which nobody has allowed'],
  'method-case': ['http_request_error', 'the method is in lower case'],
  'method-denied': ['http_request_method_denied', 'the method is not one of methods'],
  'host-invalid': ['http_request_error', 'the host is no name and no address'],
  'host-port': ['http_request_error', 'the port of the host is beyond 65535'],
  'host-denied': ['http_request_misdirected', 'the host is not one of hosts'],
  'header-name': ['http_request_error', 'a header field has a name that is none'],
  'header-bytes': ['http_request_error', 'a header field has control characters'],
  'header-underscore': ['http_request_error', 'a header field has an underscore in its name'],
  'header-repeated': ['http_request_error', 'a header field that has one value stands there twice'],
  'header-count': ['http_request_header_section_size', 'more header fields than maxHeaders'],
  'header-size': ['http_request_header_section_size', 'header fields of more than maxHeaderBytes'],
  'cookie-count': ['http_request_header_section_size', 'more cookies than maxCookies'],
} as const satisfies Record<string, readonly [ProxyErrorCode, string]>

/** The name of a rule. */
export type RequestRule = keyof typeof requestRules
