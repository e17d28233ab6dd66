import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type X509Issuer, type X509Options, x509Root } from './x509.js'

/** Where in a certificate's making a request belongs. */
export type AcmeStep =
  | 'directory'
  | 'nonce'
  | 'account'
  | 'newOrder'
  | 'order'
  | 'authorization'
  | 'challenge'
  | 'finalize'
  | 'certificate'
  | 'alternate'
  | 'renewalInfo'
  | 'revocation'
  | 'keyChange'

/** What is sent. A body that is no text is sent as JSON. */
export interface AcmeReply {
  status: number
  headers: Record<string, string>
  // biome-ignore lint/suspicious/noExplicitAny: tests write any lie into it
  body: any
}

/** What a test makes of an honest reply: another one, or `undefined` where it has taken over the response itself. */
export type AcmeLie = (
  reply: AcmeReply,
  exchange: { readonly req: IncomingMessage; readonly res: ServerResponse },
) => AcmeReply | undefined | void

/** A request as it came, its JWS taken apart and believed. */
export interface AcmeRequestSeen {
  readonly step: AcmeStep
  readonly method: string
  readonly path: string
  readonly header?: Record<string, unknown>
  readonly payload?: Record<string, unknown>
  readonly headers: IncomingMessage['headers']
}

/** An ACME server on loopback that is honest, quick and gullible where it isn't told to lie: every challenge is taken as answered. */
export interface HostileAcme {
  readonly origin: string
  /** URL of the directory. */
  readonly directory: string
  readonly requests: readonly AcmeRequestSeen[]
  /** How certificates are made: dates, names in the place of those asked for, issuer. */
  certificate: X509Options & { by?: X509Issuer }
  readonly root: X509Issuer
  /** From now on, lies at that step. Without `lie` it is honest again. */
  at(step: AcmeStep, lie?: AcmeLie): void
  close(): Promise<void>
}

interface Exchange {
  readonly step: AcmeStep
  readonly id: string
  readonly payload: Record<string, unknown>
}

interface Order {
  readonly identifiers: readonly { type: string; value: string }[]
  answered: boolean
  pem: string
  issued: boolean
}

/** Starts one. */
export async function hostileAcme(): Promise<HostileAcme> {
  const root = await x509Root()
  const lies = new Map<AcmeStep, AcmeLie>()
  const requests: AcmeRequestSeen[] = []
  const orders = new Map<string, Order>()
  let nonces = 0
  const server = createServer((req, res) => void answer(req, res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const hostile: HostileAcme = {
    origin,
    directory: `${origin}/directory`,
    requests,
    certificate: {},
    root,
    at: (step, lie) => void (lie === undefined ? lies.delete(step) : lies.set(step, lie)),
    close: async () => {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    // A client that gives up in the middle is what many of these tests are about.
    req.on('error', () => {})
    let text = ''
    for await (const chunk of req.setEncoding('utf8')) text += chunk
    const { url: path = '/', method = 'GET', headers } = req
    const [, name = '', id = ''] = path.split('/')
    const step = steps[name] ?? 'directory'
    const { header, payload } = opened(text)
    requests.push({
      step,
      method,
      path,
      headers,
      ...(header === undefined ? {} : { header }),
      ...(payload === undefined ? {} : { payload }),
    })
    const honest = await honestly({ step, id, payload: payload ?? {} })
    honest.headers['replay-nonce'] = `nonce-${++nonces}`
    const lie = lies.get(step)
    const reply = lie === undefined ? honest : lie(honest, { req, res })
    if (!reply) return
    res.writeHead(reply.status, reply.headers)
    res.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body))
  }

  async function honestly({ step, id, payload }: Exchange): Promise<AcmeReply> {
    const at = (path: string): string => `${origin}/${path}`
    const reply = (body: unknown, status = 200, headers: Record<string, string> = {}): AcmeReply => ({
      status,
      headers,
      body,
    })
    const order = orders.get(id)
    switch (step) {
      case 'directory':
        return reply({
          newNonce: at('nonce'),
          newAccount: at('account'),
          newOrder: at('orders'),
          revokeCert: at('revoke'),
          keyChange: at('key-change'),
          renewalInfo: at('renewal-info'),
          meta: { profiles: { classic: 'https://docs.test/classic' } },
        })
      case 'account':
        return reply({ status: 'valid' }, 201, { location: at('account/1') })
      case 'newOrder': {
        const next = String(orders.size + 1)
        const identifiers = payload['identifiers'] as Order['identifiers']
        orders.set(next, { identifiers, answered: false, pem: '', issued: false })
        return reply(orderOf(next), 201, { location: at(`order/${next}`) })
      }
      case 'order':
        return reply(orderOf(id))
      case 'authorization':
        return reply({
          identifier: order?.identifiers[0],
          status: order?.answered === true ? 'valid' : 'pending',
          challenges: [
            { type: 'http-01', url: at(`challenge/${id}`), status: 'pending', token: 'token'.repeat(6) },
          ],
        })
      case 'challenge':
        if (order !== undefined) order.answered = true
        return reply({ type: 'http-01', url: at(`challenge/${id}`), status: 'processing', token: 'x' })
      case 'finalize':
        if (order !== undefined) {
          order.pem = await certify(String(payload['csr']), order)
          order.issued = true
        }
        return reply(orderOf(id))
      case 'certificate':
        return reply(order?.pem ?? '', 200, { 'content-type': 'application/pem-certificate-chain' })
      case 'renewalInfo':
        return reply(
          { suggestedWindow: { start: '2030-01-01T00:00:00Z', end: '2030-01-02T00:00:00Z' } },
          200,
          { 'retry-after': '21600' },
        )
      case 'nonce':
      case 'alternate':
      case 'revocation':
      case 'keyChange':
        return reply({})
    }

    function orderOf(number: string): object {
      const { identifiers = [], answered = false, issued = false } = orders.get(number) ?? {}
      return {
        status: issued ? 'valid' : answered ? 'ready' : 'pending',
        expires: '2040-01-01T00:00:00Z',
        identifiers,
        authorizations: [at(`authorization/${number}`)],
        finalize: at(`finalize/${number}`),
        ...(issued ? { certificate: at(`certificate/${number}`) } : {}),
      }
    }
  }

  async function certify(csr: string, { identifiers }: Order): Promise<string> {
    const { Pkcs10CertificateRequest } = await import('@peculiar/x509')
    const request = new Pkcs10CertificateRequest(Buffer.from(csr, 'base64url'))
    const publicKey = await request.publicKey.export()
    const { by = root, ...options } = hostile.certificate
    const names = identifiers.map(({ value }) => value)
    // The key of an authority's own pair is never asked for: only the public half is in a certificate.
    const keys = { publicKey, privateKey: root.keys.privateKey }
    return (await by.issue({ names, keys, ...options })).chain
  }

  return hostile
}

const steps: Readonly<Record<string, AcmeStep>> = {
  directory: 'directory',
  nonce: 'nonce',
  account: 'account',
  orders: 'newOrder',
  order: 'order',
  authorization: 'authorization',
  challenge: 'challenge',
  finalize: 'finalize',
  certificate: 'certificate',
  alternate: 'alternate',
  'renewal-info': 'renewalInfo',
  revoke: 'revocation',
  'key-change': 'keyChange',
}

function opened(text: string): { header?: Record<string, unknown>; payload?: Record<string, unknown> } {
  if (text === '') return {}
  const { protected: head, payload } = JSON.parse(text) as { protected: string; payload: string }
  const part = (coded: string) =>
    JSON.parse(Buffer.from(coded, 'base64url').toString()) as Record<string, unknown>
  return { header: part(head), ...(payload === '' ? {} : { payload: part(payload) }) }
}
