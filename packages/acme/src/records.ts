import { v } from '@sluice/options'
import type { BoundedStorage } from './bounded-storage.js'
import type { KeyType } from './generate-key.js'
import { noOrders, type OrderHistory } from './order-history.js'

const texts = v.array(v.string())
const keyType = v.picklist(['ecdsa', 'rsa'])
const challenge = v.picklist(['tls-alpn-01', 'http-01', 'dns-01'])

const certificate = v.object({
  version: v.number(),
  names: texts,
  cert: v.string(),
  key: v.string(),
  via: v.optional(challenge),
  revoked: v.optional(v.boolean()),
  got: v.optional(v.number()),
})
const history = v.object({
  orders: v.array(v.number()),
  failures: v.number(),
  failedAt: v.number(),
  wait: v.number(),
  problem: v.optional(v.string()),
})
const answer = v.variant('type', [
  v.object({ type: v.literal('http-01'), name: v.string(), token: v.string() }),
  v.object({ type: v.literal('tls-alpn-01'), name: v.string() }),
  v.object({ type: v.literal('dns-01'), name: v.string(), value: v.string() }),
])
const order = v.object({
  names: texts,
  keyType,
  key: v.string(),
  url: v.optional(v.string()),
  answers: v.array(answer),
  tries: v.number(),
})
const account = v.object({ key: v.string(), next: v.optional(v.string()) })
const httpAnswer = v.object({ text: v.string(), until: v.number() })
const tlsAnswer = v.object({ cert: v.string(), key: v.string(), until: v.number() })

/** How a name was proved. */
export type ChallengeType = v.InferOutput<typeof challenge>

/** A certificate as it is stored. */
export interface StoredCertificate {
  /** One more than that of the one before, under the lock: which of two is the later one, whatever clocks and dates say. */
  readonly version: number
  readonly names: readonly string[]
  readonly cert: string
  readonly key: string
  /** By which challenge its names were proved: the first to try the next time. */
  readonly via?: ChallengeType | undefined
  /** It serves until there is another, which is ordered at once. */
  readonly revoked?: boolean | undefined
  /** When it came, in ms since 1970, by the clock of who has ordered it. */
  readonly got?: number | undefined
}

/** Something that was put up for an authority to find. */
export type StoredAnswer = Readonly<v.InferOutput<typeof answer>>

/** An order on its way: whoever gets the lock after a process was killed goes on with it, and clears away what it has put up. */
export interface StoredOrder {
  readonly names: readonly string[]
  readonly keyType: KeyType
  /** Of the certificate (PEM). */
  readonly key: string
  readonly url?: string | undefined
  readonly answers: readonly StoredAnswer[]
  /** How often it was gone on with. */
  readonly tries: number
}

/** The account's key (PEM), and the one that it is being given. */
export interface StoredAccount {
  readonly key: string
  readonly next?: string | undefined
}

/** What is under each key of a storage. What can't be read there counts as missing, and is told. */
export class Records {
  constructor(
    readonly storage: BoundedStorage,
    private readonly damaged: (key: string) => void,
  ) {}

  certificate(name: string, keyType: KeyType): Promise<StoredCertificate | undefined> {
    return this.read(certificate, `certificates/${name}/${keyType}`)
  }

  /** A certificate was read that is none, or has another key. */
  tellDamaged(name: string, keyType: KeyType): void {
    this.damaged(`certificates/${name}/${keyType}`)
  }

  setCertificate(name: string, keyType: KeyType, value: StoredCertificate): Promise<void> {
    return this.write(`certificates/${name}/${keyType}`, value)
  }

  async history(name: string): Promise<OrderHistory> {
    return (await this.read(history, `orders/${name}/history`)) ?? noOrders
  }

  setHistory(name: string, value: OrderHistory): Promise<void> {
    return this.write(`orders/${name}/history`, value)
  }

  order(name: string): Promise<StoredOrder | undefined> {
    return this.read(order, `orders/${name}/current`)
  }

  setOrder(name: string, value: StoredOrder): Promise<void> {
    return this.write(`orders/${name}/current`, value)
  }

  deleteOrder(name: string): Promise<void> {
    return this.storage.delete(`orders/${name}/current`)
  }

  account(): Promise<StoredAccount | undefined> {
    return this.read(account, 'account')
  }

  setAccount(value: StoredAccount): Promise<void> {
    return this.write('account', value)
  }

  httpAnswer(token: string): Promise<v.InferOutput<typeof httpAnswer> | undefined> {
    return this.read(httpAnswer, `challenges/http-01/${token}`)
  }

  setHttpAnswer(token: string, value: v.InferOutput<typeof httpAnswer>): Promise<void> {
    return this.write(`challenges/http-01/${token}`, value)
  }

  tlsAnswer(name: string): Promise<v.InferOutput<typeof tlsAnswer> | undefined> {
    return this.read(tlsAnswer, `challenges/tls-alpn-01/${name}`)
  }

  setTlsAnswer(name: string, value: v.InferOutput<typeof tlsAnswer>): Promise<void> {
    return this.write(`challenges/tls-alpn-01/${name}`, value)
  }

  deleteAnswer(answer: StoredAnswer): Promise<void> {
    return this.storage.delete(
      answer.type === 'http-01'
        ? `challenges/http-01/${answer.token}`
        : `challenges/${answer.type}/${answer.name}`,
    )
  }

  private async read<S extends v.GenericSchema>(
    schema: S,
    key: string,
  ): Promise<v.InferOutput<S> | undefined> {
    const text = await this.storage.get(key)
    if (text === undefined) return undefined
    const result = v.safeParse(schema, jsonOf(text))
    if (result.success) return result.output
    this.damaged(key)
    return undefined
  }

  private write(key: string, value: object): Promise<void> {
    return this.storage.set(key, JSON.stringify(value))
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
