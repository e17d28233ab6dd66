import { that, v } from '@sluice/options'
import { fieldNameSchema } from './field-names.js'

/** Options of {@link requestId}. */
export interface RequestIdOptions {
  /** The field that has it. Default 'X-Request-Id'. */
  header?: string
  /** CIDR ranges of one's own proxies whose ids are taken over. Default: where `clientAddress` trusts who has called, it is taken. */
  trust?: readonly string[]
  /** The client hears of it in the same field. Default true. */
  reply?: boolean
  /** Makes one: 1 to 128 letters, digits, and - . _ ~ : / + = @. Default: a random UUID. */
  generate?: () => string
}

/** Schema of {@link RequestIdOptions}. */
export const requestIdOptions = v.strictObject({
  header: v.optional(fieldNameSchema, 'X-Request-Id'),
  // Its entries are read where the set is made, which names each wrong one.
  trust: v.optional(v.any() as v.GenericSchema<readonly string[]>),
  reply: v.optional(v.boolean(), true),
  generate: v.optional(
    that<() => string>((value) => typeof value === 'function', 'a function that gives a text'),
  ),
})
