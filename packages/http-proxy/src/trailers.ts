import type { ServerResponse } from 'node:http'
import type { InboundResponse } from '@sluice/core'
import { groupByName, type HeaderList, has } from '@sluice/headers'
import debug from 'debug'

const log = debug('sluice:http-proxy')

/**
 * Whether trailers can follow what a response sends: without chunks nothing can follow the body of HTTP/1, and Node throws at a `Trailer` ahead of
 * it as late as it makes the head.
 * @param bare there is no body
 */
export function takesTrailers(res: InboundResponse, fields: HeaderList, bare: boolean): boolean {
  if ('stream' in res) return true
  return !bare && (res as ServerResponse).useChunkedEncodingByDefault && !has(fields, 'content-length')
}

/** Adds them to a response. One that sends no chunks lets them go. */
export function addTrailers(res: InboundResponse, fields: HeaderList): void {
  try {
    res.addTrailers(Object.fromEntries(groupByName(fields)) as Record<string, string>)
  } catch (error) {
    if (log.enabled) log('trailers that Node refuses: %O', error)
  }
}
