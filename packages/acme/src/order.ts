import { oneOf, v } from '@sluice/options'
import { identifier, time, url } from './documents.js'

/** RFC 8555 section 7.1.3. More names than any server takes are nothing that a server sends. */
export const orderSchema = v.object({
  status: oneOf('pending', 'ready', 'processing', 'valid', 'invalid'),
  expires: v.optional(time),
  identifiers: v.pipe(v.array(identifier), v.maxLength(1_000, 'at most 1000 names')),
  authorizations: v.pipe(v.array(url), v.maxLength(1_000, 'at most 1000 URLs')),
  finalize: url,
  certificate: v.optional(url),
  error: v.optional(v.unknown()),
})

/** An order, as it stood when it was last looked at. */
export interface Order extends v.InferOutput<typeof orderSchema> {
  readonly url: string
}
