import type { ServerResponse } from 'node:http'
import { errorReply, type InboundResponse, noteEnd, type ProxyError } from '@sluice/core'
import { groupByName } from '@sluice/headers'
import { breakOff } from './break-off.js'

/** The answer to an error that nobody listens for. */
export function answerError(res: InboundResponse, failure: ProxyError): void {
  if (res.headersSent) {
    breakOff(res)
    return
  }
  const { status, headers, body } = errorReply(failure)
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  res.statusCode = status
  for (const [name, value] of groupByName(headers))
    if (!('stream' in res) || name !== 'connection') (res as ServerResponse).setHeader(name, value)
  res.end(body as string)
  if (!('stream' in res)) noteEnd(res)
}
