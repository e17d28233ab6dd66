import { that, v } from '@sluice/options'

/** A URL that a server sent, of any kind: where requests may go is `AcmeHttp`'s to know. */
export const url = that<string>((value) => typeof value === 'string' && URL.canParse(value), 'a URL')

/** A text that not every server sends. */
export const optionalText = v.optional(v.string())

/** A point in time (RFC 3339), in ms since 1970. */
export const time = v.pipe(
  v.string(),
  v.transform((text) => (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/i.test(text) ? Date.parse(text) : Number.NaN)),
  v.check((ms) => !Number.isNaN(ms), 'a time such as 2030-01-01T00:00:00Z'),
)

/** A name or an address that a certificate is for. */
export const identifier = v.object({ type: v.string(), value: v.string() })
