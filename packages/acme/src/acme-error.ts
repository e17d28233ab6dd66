/** What a client was at when something went wrong. */
export type AcmePhase =
  | 'directory'
  | 'nonce'
  | 'account'
  | 'order'
  | 'authorization'
  | 'challenge'
  | 'finalize'
  | 'certificate'
  | 'renewal-info'
  | 'revocation'
  | 'rollover'
  | 'deactivation'

/** What an {@link AcmeError} is, and what to do about it. */
const hints = {
  aborted: 'the client was closed, or its signal aborted',
  malformed: 'is this the directory of an ACME server (RFC 8555)?',
  nonces: 'try again later',
  problem: 'the server says why',
  refused: 'try again later, or ask those who run the server',
  timeout: 'try again later',
  too_large: 'is this the directory of an ACME server (RFC 8555)?',
  unavailable: 'try again later',
  unreachable:
    'check the URL of the directory, the network, and `ca` where the server has an authority of its own',
  unsettled: 'look at the order again later',
  unsupported: 'leave that out, or take another server',
  needs_terms: 'read them, and set `agreeToTerms: true`',
  needs_binding: 'get a key id and an HMAC key from those who run the server, for `eab`',
  wrong_certificate: 'nothing of it is used: ask those who run the server',
  wrong_url: 'requests go to the origins that the directory names alone',
} as const

/** Kinds of {@link AcmeError}; `'problem'` is an {@link AcmeProblem}. */
export type AcmeErrorCode = keyof typeof hints

interface ErrorParts {
  readonly code: AcmeErrorCode
  readonly phase: AcmePhase
  readonly url: string
  /** What came. It may be anybody's text. */
  readonly what: string
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/**
 * Whatever keeps a client from going on. The message names what it was at, the server, what came and what to do; none of it holds a
 * key, or a control character that the server has sent.
 */
export class AcmeError extends Error {
  readonly code: AcmeErrorCode
  readonly phase: AcmePhase
  /** Host and port of the server. */
  readonly host: string
  /** How long to stay away, where the server says so (`Retry-After`), in ms. */
  readonly retryAfterMs?: number

  constructor({ code, phase, url, what, retryAfterMs, cause }: ErrorParts, hint: string = hints[code]) {
    const host = hostOf(url)
    const back =
      retryAfterMs === undefined ? '' : `; not before ${Math.ceil(retryAfterMs / 1_000)} s from now`
    super(`acme ${phase} at ${host}: ${printable(what)}${back}; ${hint}`, { cause })
    this.name = 'AcmeError'
    this.code = code
    this.phase = phase
    this.host = host
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs
  }
}

/** The text in one line that is safe to show: neither control characters nor those that turn the direction of text. */
export function printable(text: string, most = 500): string {
  // First to a length that is cheap, then without what isn't shown.
  const line = text
    .slice(0, most * 2)
    .replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
  return line.length > most ? `${line.slice(0, most - 3)}...` : line
}

function hostOf(url: string): string {
  return URL.canParse(url) ? printable(new URL(url).host || new URL(url).protocol, 100) : 'no URL'
}
