import type { ClientRequest } from 'node:http'
import { type Body, type Outbound, ProxyError, toBody } from '@sluice/core'
import { getAll } from '@sluice/headers'

/**
 * What Node doesn't check: the path, which it gets when its own checks are over, and that there is one Host.
 * @throws ProxyError http_request_error
 */
export function checkSendable({ headers, path }: Outbound): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to refuse
  const wrong = /[\x00-\x20\x7f]|[^\x00-\xff]/.test(path)
  const message = `the request can't be sent: ${wrong ? `request-target ${JSON.stringify(path.slice(0, 60))}` : 'second Host'}`
  if (wrong || getAll(headers, 'host').length > 1) throw new ProxyError('http_request_error', { message })
}

/**
 * The body of a request, `null` where there is none.
 * @throws ProxyError proxy_internal_error for what is no body: a layer has made it
 */
export function bodyOf(out: Outbound): Body | null {
  try {
    return toBody(out.body)
  } catch (error) {
    throw new ProxyError('proxy_internal_error', { message: 'the body of the request is none', cause: error })
  }
}

/** What http-proxy has thrown: Node makes no request of it, or somebody's pass has failed. */
export function unsent(error: unknown, request: ClientRequest | undefined): ProxyError {
  if (error instanceof ProxyError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const unsendable =
    request === undefined &&
    /^ERR_(INVALID_CHAR|INVALID_HTTP_TOKEN|UNESCAPED_CHARACTERS|HTTP_INVALID_HEADER_VALUE)$/.test(code ?? '')
  return new ProxyError(unsendable ? 'http_request_error' : 'proxy_internal_error', {
    message: `http-proxy has thrown: ${message}`,
    cause: error,
  })
}
