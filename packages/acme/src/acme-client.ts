import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { parse, type v } from '@sluice/options'
import { dnsValue, keyAuthorization } from './account-key.js'
import { type Account, AcmeAccount } from './acme-account.js'
import { type AcmeClientOptions, acmeClientOptions } from './acme-client-options.js'
import { AcmeError, type AcmePhase, printable } from './acme-error.js'
import { AcmeProblem } from './acme-problem.js'
import { type AcmeSeams, seamsOf } from './acme-seams.js'
import { AcmeServer } from './acme-server.js'
import { locationOf, malformed, problemIn, read } from './answers.js'
import { type Authorization, authorizationSchema, type Challenge } from './authorization.js'
import { readChain } from './certificate-chain.js'
import { downloadChain } from './download-chain.js'
import { type Order, orderSchema } from './order.js'
import { type RenewalInfo, renewalId, renewalInfoSchema } from './renewal-info.js'
import { settle } from './settle.js'

/**
 * A client of one ACME server, for one account (RFC 8555; renewal information of RFC 9773). Each call is one step of an order. What
 * goes wrong is an {@link AcmeProblem}, the server's own no, or another {@link AcmeError}. Nothing is tried again but requests whose nonce
 * was refused: when to come back is for the caller to decide, and `retryAfterMs` of an error to say.
 */
export class AcmeClient {
  readonly #server: AcmeServer
  readonly #account: AcmeAccount
  readonly #patience: number
  readonly #seams: AcmeSeams

  /**
   * Nothing is asked before the first call.
   * @param path where the options stand, for errors
   * @throws TypeError for wrong options
   */
  constructor(options: AcmeClientOptions, path = 'AcmeClient', seams: Partial<AcmeSeams> = {}) {
    const settings = parse(acmeClientOptions, options, path)
    this.#seams = seamsOf(seams)
    this.#server = new AcmeServer(settings, this.#seams)
    this.#account = new AcmeAccount(this.#server, settings)
    this.#patience = settings.patience
  }

  /** The account of the key: found, or made. Remembered until the server no longer knows it. */
  account(): Promise<Account> {
    return this.#account.account()
  }

  /**
   * Begins a certificate for these names, wildcards and addresses.
   * @param options.replaces the {@link renewalId} of the certificate that this one takes the place of; left out where the server has no
   * renewal information
   * @param options.profile one of those that the server offers
   */
  async newOrder(
    names: readonly string[],
    { replaces, profile }: { replaces?: string; profile?: string } = {},
  ): Promise<Order> {
    const phase = 'order'
    const { newOrder, renewalInfo, meta } = await this.#server.directory()
    const profiles = Object.keys(meta.profiles ?? {})
    if (profile !== undefined && !profiles.includes(profile)) {
      const what = `the profile ${profile} isn't offered; there is ${profiles.slice(0, 20).join(', ') || 'none'}`
      throw new AcmeError({ code: 'unsupported', phase, url: newOrder, what })
    }
    const answer = await this.#account.post(phase, newOrder, {
      identifiers: names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ...(replaces === undefined || renewalInfo === undefined ? {} : { replaces }),
      ...(profile === undefined ? {} : { profile }),
    })
    const order = { ...read(phase, answer, orderSchema), url: locationOf(phase, answer) }
    const got = order.identifiers.map(({ value }) => value)
    if (sorted(got) !== sorted(names)) throw malformed(phase, answer, `the order is for ${got.join(', ')}`)
    return order
  }

  /** An order as it stands now. */
  async order(url: string): Promise<Order> {
    return { ...read('order', await this.#account.post('order', url), orderSchema), url }
  }

  /** An authorization as it stands now, with those of its challenges that can be answered. */
  async authorization(url: string): Promise<Authorization> {
    const answer = await this.#account.post('authorization', url)
    return { ...read('authorization', answer, authorizationSchema), url }
  }

  /** What HTTP-01 answers a token with, and what {@link challengeCertificate} takes. */
  async keyAuthorization(token: string): Promise<string> {
    return keyAuthorization(this.#account.key, token)
  }

  /** What the TXT record at `_acme-challenge.<name>` holds for DNS-01. */
  async dnsValue(token: string): Promise<string> {
    return dnsValue(await this.keyAuthorization(token))
  }

  /** Tells the server to look: what it looks for must stand by then. */
  async begin(challenge: Challenge): Promise<void> {
    await this.#account.post('challenge', challenge.url, {})
  }

  /**
   * Waits until the server has looked.
   * @throws AcmeProblem where it did not find what it looked for
   */
  async settledAuthorization(url: string): Promise<Authorization> {
    const phase = 'authorization'
    const found = await this.#settled(phase, url, authorizationSchema, ['pending'])
    if (found.status === 'valid') return { ...found, url }
    const failed = found.challenges.find(({ error }) => error !== undefined)
    throw problemIn(phase, url, failed?.error, found.status)
  }

  /**
   * Hands in the request of an order whose authorizations are valid, and waits for the certificate. Where one was handed in before,
   * that one's certificate is waited for.
   * @throws AcmeProblem where the server won't
   */
  async finalize({ url, ...given }: Order, csr: Buffer): Promise<Order> {
    const phase = 'finalize'
    const settled = (...unsettled: readonly string[]) => this.#settled(phase, url, orderSchema, unsettled)
    // Some servers take a moment after the last authorization.
    let order = given.status === 'pending' ? await settled('pending') : given
    if (order.status === 'ready') {
      await this.#account.post(phase, order.finalize, { csr: csr.toString('base64url') })
      order = await settled('ready', 'processing')
    } else if (order.status === 'processing') order = await settled('processing')
    if (order.status === 'valid') return { ...order, url }
    throw problemIn(phase, url, order.error, order.status)
  }

  /**
   * The certificate of a valid order with its chain, in PEM.
   * @param options.key the private key of the request: a certificate for another one is refused
   * @param options.preferredChain common name of an authority: of the chains that the server offers the first that it has issued a part
   * of; the server's own choice where there is none
   * @throws AcmeError for a certificate of another key, without one of the names, that isn't valid now, or whose chain doesn't fit
   */
  async certificate(
    { url, certificate, identifiers }: Order,
    { key, preferredChain }: { key?: KeyObject | undefined; preferredChain?: string | undefined } = {},
  ): Promise<string> {
    const phase = 'certificate'
    if (certificate === undefined)
      throw new AcmeError({ code: 'malformed', phase, url, what: 'the order has no certificate' })
    const purpose = { names: identifiers.map(({ value }) => value), key, now: this.#seams.now() }
    const get = (from: string) =>
      this.#account.post(phase, from, undefined, 'application/pem-certificate-chain')
    return downloadChain(get, certificate, purpose, preferredChain)
  }

  /** When the server wants a certificate renewed; `undefined` where it has no renewal information. */
  async renewalInfo(certificatePem: string): Promise<RenewalInfo | undefined> {
    const phase = 'renewal-info'
    const { renewalInfo } = await this.#server.directory()
    const id = renewalInfo === undefined ? undefined : await renewalId(certificatePem)
    if (renewalInfo === undefined || id === undefined) return undefined
    const answer = await this.#server.get(phase, `${renewalInfo.replace(/\/$/, '')}/${id}`)
    const { suggestedWindow, explanationURL } = read(phase, answer, renewalInfoSchema)
    return {
      ...suggestedWindow,
      ...(explanationURL === undefined ? {} : { explanation: printable(explanationURL) }),
      ...(answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs }),
    }
  }

  /**
   * Revokes a certificate. One that is revoked already is left so.
   * @param options.reason code of RFC 5280 section 5.3.1: 1 others have the key, 4 another took its place, 5 it is no longer used. Default none
   * @param options.key the certificate's own private key, which revokes it without the account
   * @throws TypeError for what is no certificate
   */
  async revoke(
    certificatePem: string,
    { reason, key }: { reason?: number; key?: KeyObject } = {},
  ): Promise<void> {
    const phase = 'revocation'
    const chain = readChain(certificatePem)
    if (typeof chain === 'string') throw new TypeError(`certificate to revoke: ${chain}`)
    const url = await this.#server.resource(phase, 'revokeCert')
    const certificate = chain[0]?.raw.toString('base64url')
    const payload = reason === undefined ? { certificate } : { certificate, reason }
    try {
      if (key === undefined) await this.#account.post(phase, url, payload)
      else await this.#server.post(phase, { url, payload }, { key })
    } catch (error) {
      if (!(error instanceof AcmeProblem && error.type === 'alreadyRevoked')) throw error
    }
  }

  /**
   * Gives the account another key, which is used from then on (RFC 8555 section 7.3.5). Keep the new one before: should the answer be
   * lost, it may be the account's. The same call again then finds out.
   */
  rollover(newKey: KeyObject): Promise<void> {
    return this.#account.rollover(newKey)
  }

  /** Ends the account, for good. Its certificates stay as they are. */
  deactivate(): Promise<void> {
    return this.#account.deactivate()
  }

  /** Gives an authorization up (RFC 8555 section 7.5.2). */
  async deactivateAuthorization(url: string): Promise<void> {
    await this.#account.post('deactivation', url, { status: 'deactivated' })
  }

  /** Ends what is under way, as aborted, and lets go of connections. */
  close(): Promise<void> {
    return this.#server.close()
  }

  /** What is at `url`, once its status is none of these. */
  async #settled<S extends v.GenericSchema<unknown, { readonly status: string }>>(
    phase: AcmePhase,
    url: string,
    schema: S,
    unsettled: readonly string[],
  ): Promise<v.InferOutput<S>> {
    const look = async () => {
      const answer = await this.#account.post(phase, url)
      const value: v.InferOutput<S> = read(phase, answer, schema)
      return { value, settled: !unsettled.includes(value.status), retryAfterMs: answer.retryAfterMs }
    }
    return settle(look, { phase, url, patience: this.#patience, left: this.#server.left }, this.#seams)
  }
}

function sorted(names: readonly string[]): string {
  return names
    .map((name) => name.toLowerCase())
    .sort()
    .join()
}
