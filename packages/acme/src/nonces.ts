import { AcmeError } from './acme-error.js'
import type { AcmeAnswer, AcmeHttp } from './acme-http.js'
import { codeOf } from './answers.js'

/** More than are used at once are no help: they grow old. */
const most = 10

/**
 * Nonces that answers brought (RFC 8555 section 6.5), each used once, the newest first: a server may forget old ones. Where there is none
 * one is asked for.
 */
export class Nonces {
  readonly #http: AcmeHttp
  readonly #kept: string[] = []

  constructor(http: AcmeHttp) {
    this.#http = http
  }

  /** Takes over the nonce of an answer, if it has one. */
  keep(answer: AcmeAnswer): void {
    const nonce = answer.field('replay-nonce')
    // Section 6.5.1: the alphabet of base64url; anything else must be ignored.
    if (nonce === undefined || !/^[\w-]{1,512}$/.test(nonce)) return
    this.#kept.push(nonce)
    if (this.#kept.length > most) this.#kept.shift()
  }

  /** @throws AcmeError where the server gives none */
  async take(newNonce: string): Promise<string> {
    const kept = this.#kept.pop()
    if (kept !== undefined) return kept
    const answer = await this.#http.send('nonce', { method: 'HEAD', url: newNonce })
    this.keep(answer)
    const fresh = this.#kept.pop()
    if (fresh === undefined) {
      const what = `newNonce is answered ${answer.status} without a nonce`
      const { url, retryAfterMs } = answer
      throw new AcmeError({
        code: answer.status >= 400 ? codeOf(answer.status) : 'malformed',
        phase: 'nonce',
        url,
        what,
        retryAfterMs,
      })
    }
    return fresh
  }
}
