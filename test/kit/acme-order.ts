import type { KeyObject } from 'node:crypto'
import {
  type AcmeClient,
  type Authorization,
  type Challenge,
  certificateRequest,
  generateKey,
} from '@sluice/acme'

type Steps =
  | 'newOrder'
  | 'order'
  | 'authorization'
  | 'begin'
  | 'settledAuthorization'
  | 'finalize'
  | 'certificate'

/** A certificate that an order has led to. */
export interface TakenCertificate {
  readonly pem: string
  readonly key: KeyObject
}

/** Walks a client through an order. `show` puts where the server looks what it looks for. */
export async function takeCertificate(
  client: Pick<AcmeClient, Steps>,
  names: readonly string[],
  type = 'http-01',
  show: (challenge: Challenge, authorization: Authorization) => unknown = () => {},
  preferredChain?: string,
): Promise<TakenCertificate> {
  const order = await client.newOrder(names)
  for (const url of order.authorizations) {
    const authorization = await client.authorization(url)
    if (authorization.status === 'valid') continue
    const challenge = authorization.challenges.find((each) => each.type === type)
    if (challenge === undefined) throw new Error(`there is no ${type} for ${authorization.identifier.value}`)
    await show(challenge, authorization)
    await client.begin(challenge)
    await client.settledAuthorization(url)
  }
  const key = await generateKey('ecdsa')
  const ready = await client.order(order.url)
  const valid = await client.finalize(ready, await certificateRequest(names, key))
  return { pem: await client.certificate(valid, { key, preferredChain }), key }
}
