import { ServerResponse, STATUS_CODES } from 'node:http'
import { fieldLine, type HeaderList } from '@sluice/headers'
import { ownMethod } from './own-method.js'

const writeHead = ownMethod(ServerResponse.prototype, 'writeHead', '_storeHeader')

/** What of `ServerResponse` makes a head of lines: its own `writeHead` hands it each field, which it looks at anew. */
type Storing = ServerResponse & {
  _storeHeader?(lines: string): void
  _hasBody?: boolean
  readonly _header?: string | null
  readonly _expect_continue?: boolean
}

/** Node decides by these, so that it has to see them. */
const ofNode = /^(connection|keep-alive|transfer-encoding|trailer|expect)$/i

/**
 * What `writeHead` does, for a reply that leaves nothing to decide, at a third of its cost: the fields are joined from lines that
 * are kept, and what is of the connection is still Node's to add (docs/decisions/005).
 * @returns `false` where `writeHead` has to do it, and nothing was done
 */
export function storeHead(response: ServerResponse, status: number, headers: HeaderList): boolean {
  const res = response as Storing
  if (
    res._storeHeader === undefined ||
    res._hasBody !== true ||
    res._header !== null ||
    res._expect_continue === true ||
    // Middlewares of a host app have to see the head.
    res.writeHead !== writeHead ||
    res.strictContentLength === true ||
    !res.useChunkedEncodingByDefault ||
    res.statusMessage ||
    status < 200 ||
    status === 204 ||
    status === 304
  )
    return false
  let lines = ''
  let dated = false
  let measured = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const line = fieldLine(name, headers[i + 1])
    if (line === undefined) return false
    switch (name.length) {
      case 4:
        dated ||= name.toLowerCase() === 'date'
        break
      case 14:
        if (name.toLowerCase() !== 'content-length') break
        if (measured) return false
        measured = true
        break
      case 6:
      case 7:
      case 10:
      case 17:
        if (ofNode.test(name)) return false
        break
    }
    lines += line
  }
  const message = STATUS_CODES[status] ?? 'unknown'
  res.statusCode = status
  res.statusMessage = message
  const { sendDate } = res
  if (dated) res.sendDate = false
  // A body whose length Node hasn't read itself would go out in chunks.
  if (measured) res._hasBody = false
  res._storeHeader(`HTTP/1.1 ${status} ${message}\r\n${lines}`)
  res._hasBody = true
  res.sendDate = sendDate
  return true
}
