import { createPublicKey, type KeyObject, webcrypto } from 'node:crypto'
import type { AcmeClient, Authorization, Order, RenewalInfo } from '@sluice/acme'
import { type X509Issuer, x509Root } from './x509.js'

/** What a manager uses of a client. */
type Client = Pick<
  AcmeClient,
  | 'newOrder'
  | 'order'
  | 'authorization'
  | 'keyAuthorization'
  | 'dnsValue'
  | 'begin'
  | 'settledAuthorization'
  | 'finalize'
  | 'certificate'
  | 'renewalInfo'
  | 'revoke'
  | 'rollover'
  | 'close'
>

/** An authority without a network, by the clock of a test. */
export interface FakeAuthority {
  readonly client: () => Client
  /** Each order, as it was taken. */
  readonly orders: { readonly names: readonly string[]; readonly replaces: string | undefined }[]
  /** Questions when to renew. */
  asked: number
  /** How long certificates hold, in ms. Default 90 days. */
  life: number
  /** What it says when asked when to renew; default nothing. */
  window: RenewalInfo | undefined | Error
  /** Gives what a step fails with. */
  fail: (step: 'newOrder' | 'authorization' | 'settled' | 'finalize' | 'certificate') => Error | undefined
  /** Is called with each order that it has taken. */
  taken: () => void
  /** What a step waits for. */
  gate: Promise<unknown> | undefined
}

let root: Promise<X509Issuer> | undefined

export function fakeAuthority(now: () => number): FakeAuthority {
  root ??= x509Root()
  const made = new Map<string, { order: Order; valid: boolean }>()
  const step = async (name: Parameters<FakeAuthority['fail']>[0]): Promise<void> => {
    if (name === 'settled') await authority.gate
    const error = authority.fail(name)
    if (error !== undefined) throw error
  }
  const found = (url: string): { order: Order; valid: boolean } => {
    const one = made.get(url)
    if (one === undefined) throw new Error(`no such order: ${url}`)
    return one
  }
  const authorization = (url: string): Authorization => {
    const [, order = '', name = ''] = url.split('|')
    const { valid } = found(order)
    const wildcard = name.startsWith('*.')
    return {
      url,
      status: valid ? 'valid' : 'pending',
      identifier: { type: 'dns', value: name.replace('*.', '') },
      wildcard,
      challenges: ['http-01', 'tls-alpn-01', 'dns-01'].map((type) => ({
        type,
        url: `${url}|${type}`,
        status: 'pending',
        token: `token-of-${order}-${name.replace('*', '_')}`,
      })),
    } as Authorization
  }
  const client: Client = {
    async newOrder(names, { replaces } = {}) {
      await step('newOrder')
      const url = `order${made.size}`
      authority.orders.push({ names, replaces })
      const identifiers = names.map((value) => ({ type: 'dns', value }))
      const authorizations = names.map((name) => `authorization|${url}|${name}`)
      const order = { url, status: 'pending', identifiers, authorizations, finalize: `${url}/f` } as Order
      made.set(url, { order, valid: false })
      authority.taken()
      return order
    },
    order: async (url) => found(url).order,
    async authorization(url) {
      await step('authorization')
      return authorization(url)
    },
    keyAuthorization: async (token) => `${token}.key`,
    dnsValue: async (token) => `${token}.dns`,
    begin: async () => {},
    async settledAuthorization(url) {
      await step('settled')
      return { ...authorization(url), status: 'valid' }
    },
    async finalize({ url }) {
      await step('finalize')
      const one = found(url)
      one.valid = true
      one.order = { ...one.order, status: 'valid', certificate: `${url}/c` }
      return one.order
    },
    async certificate({ identifiers }, { key } = {}) {
      await step('certificate')
      const names = identifiers.map(({ value }) => value)
      const keys = await webKeys(key as KeyObject)
      // With seconds alone, as certificates have them.
      const notBefore = Math.floor(now() / 1_000) * 1_000
      const issued = await (await (root as Promise<X509Issuer>)).issue({
        names,
        keys,
        notBefore,
        notAfter: notBefore + authority.life,
      })
      return issued.chain
    },
    async renewalInfo() {
      authority.asked++
      if (authority.window instanceof Error) throw authority.window
      return authority.window
    },
    revoke: async () => {},
    rollover: async () => {},
    close: async () => {},
  }
  const authority: FakeAuthority = {
    client: () => client,
    orders: [],
    asked: 0,
    life: 90 * 86_400_000,
    window: undefined,
    fail: () => undefined,
    taken: () => {},
    gate: undefined,
  }
  return authority
}

async function webKeys(key: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const algorithm =
    key.asymmetricKeyType === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
      : { name: 'ECDSA', namedCurve: 'P-256' }
  const { subtle } = webcrypto
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    subtle.importKey('spki', spki, algorithm, true, ['verify']),
  ])
  return { privateKey, publicKey }
}
