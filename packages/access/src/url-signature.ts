import { createHmac } from 'node:crypto'

/**
 * What is signed of a request: its method, and path with query up to the signature, the time of its end included. HEAD asks for what GET does. The
 * line break can stand in neither part, so no two requests are signed alike.
 * @returns the 43 characters of base64url
 */
export function urlSignature(secret: string, method: string, signed: string): Buffer {
  const mac = createHmac('sha256', secret)
    .update(`${method === 'HEAD' ? 'GET' : method}\n${signed}`, 'latin1')
    .digest('base64url')
  return Buffer.from(mac, 'latin1')
}
