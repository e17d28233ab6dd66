import { createPrivateKey } from 'node:crypto'
import { type AccountKeeper, pemOf } from './account-keeper.js'
import { AcmeError } from './acme-error.js'
import type { AcmeSettings } from './acme-options.js'
import { AcmeProblem } from './acme-problem.js'
import type { Authorization, Challenge } from './authorization.js'
import { certificateRequest } from './certificate-request.js'
import type { Answer, ChallengeAnswers } from './challenge-answers.js'
import { challengeCertificate } from './challenge-certificate.js'
import type { DnsRecords } from './dns-records.js'
import { generateKey, type KeyType } from './generate-key.js'
import type { OrderingClient } from './manager-seams.js'
import { messageOf } from './message-of.js'
import type { Order } from './order.js'
import type { ChallengeType, Records, StoredAnswer, StoredCertificate, StoredOrder } from './records.js'
import { renewalId } from './renewal-info.js'

/** How often an order that is still open is gone on with before it is left. */
const mostTries = 3

/** What an order is for. */
export interface IssueRequest {
  /** What the certificate is stored by. */
  readonly id: string
  readonly names: readonly string[]
  readonly keyType: KeyType
  /** Ways to prove a name, the one to try in front. */
  readonly challenges: readonly ChallengeType[]
  /** The certificate that is replaced. */
  readonly before: StoredCertificate | undefined
  /** Called right before an order is begun, and not where one is gone on with. What it throws ends this. */
  readonly beginning: () => Promise<void>
  /** Called with each order. */
  readonly ordering: (resumed: boolean) => void
  readonly signal: AbortSignal
}

/** What orders are made with. */
export interface IssueParts {
  readonly settings: Pick<AcmeSettings, 'preferredChain' | 'profile'>
  readonly records: Records
  readonly account: AccountKeeper
  readonly answers: ChallengeAnswers
  readonly dns: DnsRecords | undefined
}

/**
 * One certificate, from names to a pair. Whoever calls it holds the lock of the certificate.
 *
 * order      the one that a killed process has left, where it is open and for the same; else a new one
 * stored     the key of the certificate, the order's URL, what is put up: each before the server, or anybody else, hears of it
 * prove      for each name that isn't proved yet: put the answer up, tell the server to look, wait until it has
 * clear      what was put up is taken away, whatever has happened; what a killed process has put up, by whoever is next
 * finish     hand the request in, fetch the chain, which is checked against names and key
 *
 * An order that the server has ended is forgotten. One that is open when the network, the storage or the DNS fails is gone on with.
 */
export async function issue(request: IssueRequest, parts: IssueParts): Promise<StoredCertificate> {
  const { id, names, signal } = request
  const { records } = parts
  const { preferredChain } = parts.settings
  try {
    const open = (await leftBehind(request, parts)) ?? (await begun(request, parts))
    request.ordering(open.resumed)
    const via = open.order.status === 'pending' ? await prove(open, request, parts) : undefined
    signal.throwIfAborted()
    const { client, order, stored } = open
    const key = createPrivateKey(stored.key)
    const done = await client.finalize(await client.order(order.url), await certificateRequest(names, key))
    const cert = await client.certificate(done, {
      key,
      ...(preferredChain === undefined ? {} : { preferredChain }),
    })
    const version = (request.before?.version ?? 0) + 1
    return { version, names, cert, key: stored.key, via: via ?? request.challenges[0] }
  } catch (error) {
    if (isOver(error)) await records.deleteOrder(id).catch(() => {})
    throw error
  }
}

/** An order that may be gone on with. */
interface OpenOrder {
  readonly client: OrderingClient
  readonly order: Order
  readonly stored: StoredOrder
  readonly resumed: boolean
}

/** The order that a killed process has left, if it is of use. What that has put up is taken away. */
async function leftBehind(
  { before, id, keyType, names }: IssueRequest,
  { account, answers, records }: IssueParts,
): Promise<OpenOrder | undefined> {
  const left = await records.order(id)
  if (left === undefined) return undefined
  for (const answer of left.answers) await answers.take(answer)
  const isSame = left.keyType === keyType && [...left.names].sort().join() === [...names].sort().join()
  const { url } = left
  // One whose certificate there is already has only been left to be forgotten.
  const isDone = left.key === before?.key
  if (isSame && !isDone && url !== undefined && left.tries < mostTries)
    try {
      const order = await account.with((client) => client.order(url))
      const stored = { ...left, answers: [], tries: left.tries + 1 }
      if (order.status !== 'invalid') {
        await records.setOrder(id, stored)
        return { client: await account.client(), order, stored, resumed: true }
      }
    } catch (error) {
      // Forgotten, as an order is whose time is over, or another account's.
      if (!isOver(error)) throw error
    }
  await records.deleteOrder(id)
  return undefined
}

async function begun(request: IssueRequest, { account, records, settings }: IssueParts): Promise<OpenOrder> {
  const { before, id, keyType, names, signal } = request
  const { profile } = settings
  const key = pemOf(await generateKey(keyType))
  // What the server knows it by (RFC 9773 section 5).
  const replaces = before && (await renewalId(before.cert))
  signal.throwIfAborted()
  await request.beginning()
  signal.throwIfAborted()
  const rest = profile === undefined ? {} : { profile }
  const order = await account.with(async (client) => {
    if (replaces === undefined) return client.newOrder(names, rest)
    try {
      return await client.newOrder(names, { ...rest, replaces })
    } catch (error) {
      // Replaced already (RFC 9773 section 5), or nothing of this account's: it is an order as any other then.
      const isRefused = error instanceof AcmeProblem && notReplaced.includes(error.type)
      if (!isRefused) throw error
      return client.newOrder(names, rest)
    }
  })
  const stored = { names, keyType, key, url: order.url, answers: [], tries: 0 }
  await records.setOrder(id, stored)
  return { client: await account.client(), order, stored, resumed: false }
}

const notReplaced = ['alreadyReplaced', 'malformed', 'unauthorized']

/** A name to prove. */
interface Proof {
  readonly authorization: Authorization
  readonly challenge: Challenge
  readonly answer: Answer
}

/** Proves the names of an order that aren't yet, and says by what. */
async function prove(
  { client, order, stored }: OpenOrder,
  { challenges, id, signal }: IssueRequest,
  { answers, dns, records }: IssueParts,
): Promise<ChallengeType | undefined> {
  const proofs: Proof[] = []
  for (const url of order.authorizations) {
    signal.throwIfAborted()
    const authorization = await client.authorization(url)
    if (authorization.status === 'pending') proofs.push(await proofOf(authorization, client, challenges))
    // Throws where it isn't valid, and says why.
    else await client.settledAuthorization(url)
  }
  const put = proofs.map(({ answer }) => storedAnswer(answer))
  await records.setOrder(id, { ...stored, answers: put })
  try {
    for (const { answer } of proofs) {
      signal.throwIfAborted()
      await answers.put(answer)
    }
    if (put.some(({ type }) => type === 'dns-01')) await dns?.seen(signal)
    for (const { challenge } of proofs) {
      signal.throwIfAborted()
      if (challenge.status === 'pending') await client.begin(challenge)
    }
    for (const proof of proofs) await settled(proof, client)
  } finally {
    for (const answer of put) await answers.take(answer)
    await records.setOrder(id, stored).catch(() => {})
  }
  return put[0]?.type
}

async function settled({ authorization, answer }: Proof, client: OrderingClient): Promise<void> {
  try {
    await client.settledAuthorization(authorization.url)
  } catch (error) {
    throw new Error(`${answer.name} by ${answer.type}: ${messageOf(error)}`, { cause: error })
  }
}

async function proofOf(
  authorization: Authorization,
  client: OrderingClient,
  wanted: readonly ChallengeType[],
): Promise<Proof> {
  const { challenges, identifier, wildcard } = authorization
  const name = identifier.value
  const usable = wildcard ? wanted.filter((type) => type === 'dns-01') : wanted
  const fits = (type: ChallengeType) => challenges.find((each) => each.type === type)
  // One that was begun is the only one that may be.
  const begunOnes = usable.filter((type) => fits(type)?.status === 'processing')
  const [type] = [...begunOnes, ...usable.filter((each) => fits(each) !== undefined)]
  const challenge = type && fits(type)
  if (challenge === undefined)
    throw new Error(
      `${name}: the authority offers ${challenges.map((each) => each.type).join(', ') || 'nothing'}, this process answers ${usable.join(', ') || 'nothing'}`,
    )
  const { token } = challenge
  if (type === 'dns-01')
    return { authorization, challenge, answer: { type, name, value: await client.dnsValue(token) } }
  const text = await client.keyAuthorization(token)
  if (type === 'http-01') return { authorization, challenge, answer: { type, name, token, text } }
  const pair = await challengeCertificate(name, text)
  return { authorization, challenge, answer: { type: 'tls-alpn-01', name, pair } }
}

function storedAnswer(answer: Answer): StoredAnswer {
  const { name, type } = answer
  if (type === 'http-01') return { type, name, token: answer.token }
  return type === 'dns-01' ? { type, name, value: answer.value } : { type, name }
}

/** What has worked the last time is tried first; each failure has the next one tried. */
export function challengesInOrder(
  { challenges, dns }: Pick<AcmeSettings, 'challenges' | 'dns'>,
  via: ChallengeType | undefined,
  failures: number,
): ChallengeType[] {
  const all: ChallengeType[] = dns === undefined ? [...challenges] : [...challenges, 'dns-01']
  const first = via === undefined ? 0 : Math.max(0, all.indexOf(via))
  const at = (first + failures) % all.length
  return [...all.slice(at), ...all.slice(0, at)]
}

/** What the authority said, where it was that. */
export function authorityError(error: unknown): AcmeError | undefined {
  if (error instanceof AcmeError) return error
  return error instanceof Error && error.cause instanceof AcmeError ? error.cause : undefined
}

/** Whether an order has come to its end by that error. Else it is open, as far as anybody knows. */
function isOver(error: unknown): boolean {
  const said = authorityError(error)
  if (said instanceof AcmeProblem) return said.status < 500 && said.status !== 429
  return said !== undefined && ended.includes(said.code)
}

const ended: readonly string[] = ['malformed', 'refused', 'unsupported', 'wrong_certificate', 'wrong_url']
