import { v } from '@sluice/options'
import { optionalText, url } from './documents.js'

/** What a server can do, and where (RFC 8555 section 7.1.1, RFC 9773 section 4). */
export const directorySchema = v.object({
  newNonce: url,
  newAccount: url,
  newOrder: url,
  revokeCert: v.optional(url),
  keyChange: v.optional(url),
  renewalInfo: v.optional(url),
  meta: v.optional(
    v.object({
      termsOfService: optionalText,
      externalAccountRequired: v.optional(v.boolean()),
      profiles: v.optional(v.record(v.string(), v.unknown())),
    }),
    {},
  ),
})

/** What a server offers. */
export type Directory = v.InferOutput<typeof directorySchema>

/** The URLs in it that requests go to. */
export function resourcesOf(directory: Directory): string[] {
  const { newNonce, newAccount, newOrder, revokeCert, keyChange, renewalInfo } = directory
  const all = [newNonce, newAccount, newOrder, revokeCert, keyChange, renewalInfo]
  return all.filter((each) => each !== undefined)
}
