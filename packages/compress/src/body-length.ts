import { type BodyInit, isBody, type Reply } from '@sluice/core'
import { get } from '@sluice/headers'

/** Bytes of a body that says how many they are. */
export function lengthOf(body: BodyInit): number | undefined {
  if (body === null) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  return body instanceof Uint8Array || isBody(body) ? body.length : undefined
}

/** Bytes of a message's body, where they are known before they flow. With HEAD the field alone tells, of what GET would have. */
export function saidLength(
  method: string,
  { body, headers }: Pick<Reply, 'body' | 'headers'>,
): number | undefined {
  const known = method === 'HEAD' ? undefined : lengthOf(body)
  if (known !== undefined) return known
  const said = get(headers, 'content-length')
  return said !== undefined && /^\d+$/.test(said) ? Number(said) : undefined
}
