import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect } from 'vitest'
import { type AcmeLie, type AcmeReply, type HostileAcme, hostileAcme } from './hostile-acme.js'
import type { Closable } from './owner.js'

/** Of an error of the client's, what tests look at. */
interface AcmeFault extends Error {
  readonly code: string
}

/** The account of every client here. */
export const accountKey: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

/** Clients of a kind, each with a {@link hostileAcme} of its own. */
export function acmeRig<Client extends Closable, Options extends object, Seams>(
  own: <T extends Closable>(thing: T) => T,
  Client: new (options: Options, path?: string, seams?: Partial<Seams>) => Client,
) {
  const clientOf = (
    { directory }: HostileAcme,
    given: Partial<Options> = {},
    seams: Partial<Seams> = {},
  ): Client => {
    const options = { directory, accountKey, agreeToTerms: true, ...given }
    return own(new Client(options as unknown as Options, 'client', seams))
  }
  return {
    clientOf,
    async met(given: Partial<Options> = {}, seams: Partial<Seams> = {}) {
      const server = own(await hostileAcme())
      return { server, client: clientOf(server, given, seams) }
    },
  }
}

/** What a promise is refused with, which has to be an error of the client's. */
export async function refused(promise: Promise<unknown>): Promise<AcmeFault> {
  const error = await promise.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason,
  )
  expect(error).toMatchObject({ name: expect.stringMatching(/^Acme(Error|Problem)$/) })
  return error as AcmeFault
}

/** An honest reply but for a change in its body. */
export function changed(change: (body: AcmeReply['body']) => void): AcmeLie {
  return (reply) => {
    change(reply.body)
    return reply
  }
}

/** An honest reply that lacks something in its body. */
export function without(name: string): AcmeLie {
  return changed((body) => {
    delete body[name]
  })
}

/** An honest reply that lacks a field of its head. */
export function withoutField(name: string): AcmeLie {
  return ({ headers, ...reply }) => {
    const left = Object.entries(headers).filter(([each]) => each !== name)
    return { ...reply, headers: Object.fromEntries(left) }
  }
}

/** A problem document in the place of the reply. */
export function problem(status: number, type: string, more: object = {}, headers: object = {}): AcmeLie {
  return () => ({
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
    body: { type: `urn:ietf:params:acme:error:${type}`, detail: 'so it is', ...more },
  })
}
