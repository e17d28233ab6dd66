import type { KeyObject } from 'node:crypto'
import { publicJwk, signed } from './account-key.js'
import { AcmeError, type AcmePhase } from './acme-error.js'
import type { AcmeAnswer, AcmeHttp } from './acme-http.js'
import { AcmeProblem } from './acme-problem.js'
import type { SignedRequest } from './acme-server.js'
import { refuseFailed } from './answers.js'
import { Nonces } from './nonces.js'

/** With one good nonce in two refused, one request in a million fails. */
const mostNonces = 20

/** POST requests as RFC 8555 section 6 has them: signed, with a nonce, and again with another one where that is refused. */
export class SignedRequests {
  readonly #http: AcmeHttp
  readonly #nonces: Nonces

  constructor(http: AcmeHttp) {
    this.#http = http
    this.#nonces = new Nonces(http)
  }

  /**
   * @param payload `undefined` for a POST-as-GET
   * @throws AcmeProblem for the server's no, AcmeError for what is no answer
   */
  async post(
    phase: AcmePhase,
    newNonce: string,
    request: SignedRequest,
    { key, kid }: { readonly key: KeyObject; readonly kid?: string },
  ): Promise<AcmeAnswer> {
    const { url, payload, accept } = request
    const who = kid === undefined ? { jwk: publicJwk(key) } : { kid }
    for (let tries = 1; ; tries++) {
      const nonce = await this.#nonces.take(newNonce)
      const body = JSON.stringify(await signed(key, { nonce, url, ...who }, payload))
      const answer = await this.#http.send(phase, {
        method: 'POST',
        url,
        body,
        ...(accept === undefined ? {} : { accept }),
      })
      this.#nonces.keep(answer)
      try {
        refuseFailed(phase, answer)
        return answer
      } catch (error) {
        if (!(error instanceof AcmeProblem) || error.type !== 'badNonce') throw error
        if (tries < mostNonces) continue
        const what = `${tries} nonces in a row were refused, all of them the server's own`
        throw new AcmeError({
          code: 'nonces',
          phase,
          url,
          what,
          retryAfterMs: error.retryAfterMs,
          cause: error,
        })
      }
    }
  }
}
