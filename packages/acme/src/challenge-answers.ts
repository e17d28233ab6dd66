import { tell } from './acme-event.js'
import type { AcmeSeams } from './acme-seams.js'
import type { DnsRecords } from './dns-records.js'
import { domainName } from './domain-name.js'
import type { IssuedPair } from './issued-pair.js'
import { messageOf } from './message-of.js'
import type { Records, StoredAnswer } from './records.js'

/** How long an answer is given at most: an order that takes longer has been left behind. */
const longest = 3_600_000

/** Questions to the storage at the same time: whoever asks for tokens that don't exist must not keep it busy. */
const together = 16
/** Of answers that could not be taken away, those that are tried again. */
const mostLeft = 1_000

/** An answer with what it says. */
export type Answer =
  | { readonly type: 'http-01'; readonly name: string; readonly token: string; readonly text: string }
  | { readonly type: 'tls-alpn-01'; readonly name: string; readonly pair: IssuedPair }
  | { readonly type: 'dns-01'; readonly name: string; readonly value: string }

/**
 * What challenges are answered with: this process's from memory, those of others from the storage, for the authority may come to any of them. An
 * answer is there from before the authority is asked to look until it has looked.
 */
export class ChallengeAnswers {
  private readonly texts = new Map<string, string>()
  private readonly pairs = new Map<string, IssuedPair>()
  private asked = 0
  /** What could not be taken away, and is tried again. */
  private left: StoredAnswer[] = []

  constructor(
    private readonly records: Records,
    private readonly dns: DnsRecords | undefined,
    private readonly seams: AcmeSeams,
  ) {}

  /** Puts an answer up. @throws Error where that fails */
  async put(answer: Answer): Promise<void> {
    const until = this.seams.now() + longest
    if (answer.type === 'dns-01') await this.dnsOf(answer).set(answer.name, answer.value)
    else if (answer.type === 'http-01') {
      this.texts.set(answer.token, answer.text)
      await this.records.setHttpAnswer(answer.token, { text: answer.text, until })
    } else {
      this.pairs.set(answer.name, answer.pair)
      await this.records.setTlsAnswer(answer.name, { ...answer.pair, until })
    }
  }

  /** Takes an answer away, this process's or that of one that was killed. What can't be taken away is told, and tried again by `tidy`. */
  async take(answer: StoredAnswer): Promise<void> {
    if (answer.type === 'http-01') this.texts.delete(answer.token)
    if (answer.type === 'tls-alpn-01') this.pairs.delete(answer.name)
    try {
      await this.remove(answer)
    } catch (error) {
      const what = `the ${answer.type} answer for ${answer.name}`
      tell({ kind: 'left-behind', what, problem: messageOf(error) })
      this.left = [...this.left, answer].slice(-mostLeft)
    }
  }

  /** Takes away what could not be before. */
  async tidy(): Promise<void> {
    for (const answer of this.left.splice(0))
      await this.remove(answer).catch(() => {
        this.left.push(answer)
      })
  }

  private async remove(answer: StoredAnswer): Promise<void> {
    if (answer.type === 'dns-01') await this.dnsOf(answer).remove(answer.name, answer.value)
    else await this.records.deleteAnswer(answer)
  }

  /** What a token is answered with (RFC 8555 section 8.3). */
  async text(token: string): Promise<string | undefined> {
    const own = this.texts.get(token)
    if (own !== undefined || !isToken(token)) return own
    const found = await this.ask(() => this.records.httpAnswer(token))
    return found?.text
  }

  /** What a server name is answered with (RFC 8737). */
  async pair(name: string): Promise<IssuedPair | undefined> {
    const own = this.pairs.get(name)
    // A client may say anything, and it becomes a key of the storage.
    if (own !== undefined || domainName(name) !== name) return own
    const found = await this.ask(() => this.records.tlsAnswer(name))
    return found && { cert: found.cert, key: found.key }
  }

  /** Removes from the storage what nobody will ask for any more: of orders that nobody has gone on with. */
  async sweep(): Promise<void> {
    const { storage } = this.records
    for (const key of await storage.list('challenges/')) {
      const [, type, rest = ''] = /^challenges\/([^/]+)\/(.+)$/.exec(key) ?? []
      const found =
        type === 'http-01' ? await this.records.httpAnswer(rest) : await this.records.tlsAnswer(rest)
      if (found === undefined || found.until < this.seams.now()) await storage.delete(key)
    }
  }

  /** Never rejects: who asks is a stranger, and there is nothing to tell them. */
  private async ask<T extends { readonly until: number }>(
    read: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    if (this.asked >= together) return undefined
    this.asked++
    try {
      const found = await read()
      return found !== undefined && found.until > this.seams.now() ? found : undefined
    } catch {
      return undefined
    } finally {
      this.asked--
    }
  }

  private dnsOf({ name }: { readonly name: string }): DnsRecords {
    // An order that another process began, whose options had it.
    if (this.dns === undefined) throw new Error(`there is no dns to change the records of ${name} by`)
    return this.dns
  }
}

/** Base64url of 128 bits or more (RFC 8555 section 8.3): it becomes a key of the storage. */
function isToken(token: string): boolean {
  return /^[\w-]{16,256}$/.test(token)
}
