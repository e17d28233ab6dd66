import { type Duration, positiveDuration, secret, v } from '@sluice/options'
import type { TargetTls } from '@sluice/upstream'
import type { Seams } from './discovery-options.js'

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
    secret<string | (() => string | Promise<string>)>(
      (value) => typeof value === 'function' || header(value),
      'a token without blanks, or a function that gives it',
    ),
  ),
  timeout: v.optional(positiveDuration(), 10_000),
}

/** What a question for a token may take, in ms, and what ends it. */
interface TokenLimits {
  readonly timeout: number
  readonly signal: AbortSignal
  readonly after: Seams['after']
}

/**
 * The token to send now. Blanks around it are those of the file that it was read from.
 * @throws Error for what is none, or if the function takes too long
 */
export async function tokenOf(token: ApiOptions['token'], limits: TokenLimits): Promise<string | undefined> {
  const given = typeof token === 'function' ? await inTime(token, limits) : token
  if (given !== undefined && !header(given)) throw new Error('the token is no text without blanks')
  return given
}

async function inTime(
  token: () => string | Promise<string>,
  { timeout, signal, after }: TokenLimits,
): Promise<string> {
  let over = (): void => {}
  const late = new Promise<never>((_, reject) => {
    const cancel = after(timeout, () => reject(new Error(`no token within ${timeout} ms`)))
    over = () => {
      cancel()
      signal.removeEventListener('abort', over)
    }
    signal.addEventListener('abort', over)
  })
  try {
    const text: unknown = await Promise.race([late, token()])
    return typeof text === 'string' ? text.trim() : ''
  } finally {
    over()
  }
}
