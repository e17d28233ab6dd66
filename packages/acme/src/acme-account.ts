import type { KeyObject } from 'node:crypto'
import { oneOf, v } from '@sluice/options'
import { accountBinding, publicJwk, signed } from './account-key.js'
import { AcmeError, type AcmePhase } from './acme-error.js'
import type { AcmeAnswer } from './acme-http.js'
import { AcmeProblem } from './acme-problem.js'
import type { AcmeServer } from './acme-server.js'
import { locationOf, read } from './answers.js'

/** An account at a server. */
export interface Account {
  /** What the server knows it by. */
  readonly url: string
  readonly status: string
}

interface AccountOptions {
  readonly accountKey: KeyObject
  readonly agreeToTerms: boolean
  readonly contact: readonly string[]
  readonly eab?: { readonly kid: string; readonly hmacKey: string } | undefined
}

const accountSchema = v.object({
  status: oneOf('valid', 'deactivated', 'revoked'),
  contact: v.optional(v.array(v.string())),
})

/** The account of a key at a server (RFC 8555 section 7.3), and the requests that it signs. */
export class AcmeAccount {
  readonly #server: AcmeServer
  readonly #options: AccountOptions
  #key: KeyObject
  #account: Promise<Account> | undefined

  constructor(server: AcmeServer, options: AccountOptions) {
    this.#server = server
    this.#options = options
    this.#key = options.accountKey
  }

  get key(): KeyObject {
    return this.#key
  }

  /** Found, or made; remembered until the server no longer knows it. */
  account(): Promise<Account> {
    if (this.#account !== undefined) return this.#account
    const made = this.#make()
    this.#account = made
    made.catch(() => {
      this.#account = undefined
    })
    return made
  }

  /** A request of the account. */
  async post(phase: AcmePhase, url: string, payload?: object, accept?: string): Promise<AcmeAnswer> {
    const { url: kid } = await this.account()
    try {
      return await this.#server.post(phase, { url, payload, accept }, { key: this.#key, kid })
    } catch (error) {
      // The server has forgotten it, as one that was set up anew has; the next call makes another.
      if (error instanceof AcmeProblem && error.type === 'accountDoesNotExist') this.#account = undefined
      throw error
    }
  }

  /** Section 7.3.5: the new key signs that it wants the account, and the old one that it gives it. */
  async rollover(newKey: KeyObject): Promise<void> {
    const phase = 'rollover'
    const url = await this.#server.resource(phase, 'keyChange')
    const account = await this.account()
    const change = { account: account.url, oldKey: publicJwk(this.#key) }
    const payload = await signed(newKey, { url, jwk: publicJwk(newKey) }, change)
    try {
      await this.post(phase, url, payload)
    } catch (error) {
      // The server may have done it, and only the answer, or that of an earlier try, been lost.
      const owner = await this.#find(newKey).catch(() => undefined)
      if (owner?.url !== account.url) throw error
      this.#account = Promise.resolve(owner)
    }
    this.#key = newKey
  }

  async deactivate(): Promise<void> {
    const { url } = await this.account()
    await this.post('deactivation', url, { status: 'deactivated' })
    this.#account = undefined
  }

  async #make(): Promise<Account> {
    const { newAccount: url, meta } = await this.#server.directory()
    const { agreeToTerms, contact, eab } = this.#options
    const { termsOfService, externalAccountRequired } = meta
    const phase = 'account'
    if (termsOfService !== undefined && !agreeToTerms)
      throw new AcmeError({ code: 'needs_terms', phase, url, what: `there are terms: ${termsOfService}` })
    if (externalAccountRequired === true && eab === undefined)
      throw new AcmeError({
        code: 'needs_binding',
        phase,
        url,
        what: 'accounts must be bound to a known one',
      })
    const payload = {
      termsOfServiceAgreed: agreeToTerms,
      ...(contact.length === 0 ? {} : { contact }),
      ...(eab === undefined ? {} : { externalAccountBinding: await accountBinding(this.#key, eab, url) }),
    }
    const answer = await this.#server.post(phase, { url, payload }, { key: this.#key })
    const account = accountIn(answer)
    if (answer.status === 200 && differs(contact, account.contact)) {
      const signer = { key: this.#key, kid: account.url }
      await this.#server.post(phase, { url: account.url, payload: { contact } }, signer)
    }
    return { url: account.url, status: account.status }
  }

  async #find(key: KeyObject): Promise<Account> {
    const { newAccount: url } = await this.#server.directory()
    return accountIn(
      await this.#server.post('account', { url, payload: { onlyReturnExisting: true } }, { key }),
    )
  }
}

function accountIn(answer: AcmeAnswer): Account & { readonly contact?: readonly string[] | undefined } {
  const phase = 'account'
  const { status, contact } = read(phase, answer, accountSchema)
  const url = locationOf(phase, answer)
  if (status !== 'valid')
    throw new AcmeError(
      { code: 'refused', phase, url, what: `it is ${status}` },
      'make another key for a new one',
    )
  return { url, status, contact }
}

/** Whether an account that was found is to get these contacts. Servers that keep none, as Let's Encrypt, show none. */
function differs(wanted: readonly string[], shown: readonly string[] | undefined): boolean {
  return wanted.length > 0 && shown !== undefined && wanted.join() !== shown.join()
}
