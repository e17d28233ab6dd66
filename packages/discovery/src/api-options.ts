import { type Duration, duration, that, v } from '@sluice/options'
import type { TargetTls } from '@sluice/upstream'

/** How to reach a registry. */
export interface ApiOptions {
  /** `http:`, `https:` or `unix:`; a path is put before those of the API. */
  url?: string
  /** How to speak TLS to it, as to a target: authorities, client certificate, pins. */
  tls?: TargetTls
  /** Sent with each question; a function is asked each time, and may read it from where it is kept. */
  token?: string | (() => string | Promise<string>)
  /** For an answer, beyond the time that it is meant to wait. Default 10s. */
  timeout?: Duration
}

const header = (value: unknown): value is string => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)

/** Schemas of {@link ApiOptions}; the upstream's own reader looks at `url` and `tls`. */
export const apiEntries = {
  url: v.optional(v.string()),
  tls: v.optional(v.any()),
  token: v.optional(
    // The schema's own complaint would show it.
    v.pipe(
      v.unknown(),
      v.transform((value) => (typeof value === 'function' || header(value) ? value : null)),
      that<string | (() => string | Promise<string>)>(
        (value) => value !== null,
        'a token without blanks, or a function that gives it',
      ),
    ),
  ),
  timeout: v.optional(
    v.pipe(
      duration(),
      v.check((ms) => ms > 0, 'more than 0'),
    ),
    10_000,
  ),
}

/** The token to send now. Blanks around it are those of the file that it was read from. */
export async function tokenOf(token: ApiOptions['token']): Promise<string | undefined> {
  const given = typeof token === 'function' ? (await token()).trim() : token
  if (given !== undefined && !header(given)) throw new Error('the token is no text without blanks')
  return given
}
