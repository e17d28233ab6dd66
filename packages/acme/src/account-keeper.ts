import { createPrivateKey, type KeyObject } from 'node:crypto'
import { AcmeClient } from './acme-client.js'
import type { AcmeClientOptions } from './acme-client-options.js'
import { tell } from './acme-event.js'
import type { AcmeSettings } from './acme-options.js'
import { AcmeProblem } from './acme-problem.js'
import { StorageError } from './bounded-storage.js'
import { generateKey } from './generate-key.js'
import type { ManagerSeams, OrderingClient } from './manager-seams.js'
import type { Records, StoredAccount } from './records.js'
import { withLock } from './with-lock.js'

/** How often, and how long apart in ms, to ask for that lock. */
const tries = 40
const pause = 250

/**
 * The one account that all processes with a storage share: its key is made once, under a lock, and read again before each use, so that who
 * has given it another key is followed.
 *
 * key           the one that counts
 * key, next     a change of keys is under way, by whoever has the lock. Where nobody has it that process was killed, and nobody knows whether the
 *               authority has heard of it: `next` is taken, which finds the account or gets another
 */
export class AccountKeeper {
  private pem: string | undefined = undefined
  private current: OrderingClient | undefined = undefined
  private opening: Promise<OrderingClient> | undefined = undefined
  private closed = false

  constructor(
    private readonly settings: AcmeSettings,
    private readonly records: Records,
    private readonly seams: Pick<ManagerSeams, 'after' | 'client' | 'lease' | 'now'>,
  ) {}

  /** A client for the account's key as it is now. Its first request makes the account. */
  client(): Promise<OrderingClient> {
    this.opening ??= this.open().finally(() => {
      this.opening = undefined
    })
    return this.opening
  }

  /** Does `what` with a client; again, where the authority has forgotten the account, with a new one. */
  async with<T>(what: (client: OrderingClient) => Promise<T>): Promise<T> {
    const client = await this.client()
    try {
      return await what(client)
    } catch (error) {
      if (!(error instanceof AcmeProblem && error.type === 'accountDoesNotExist')) throw error
      tell({ kind: 'account-lost' })
      return what(client)
    }
  }

  /** Gives the account another key. */
  rollover(): Promise<void> {
    return this.alone(async () => {
      const key = await this.settledKey()
      const client = await this.clientOf(key)
      const next = await generateKey('ecdsa')
      // Before the authority hears of it: a process that is killed then hasn't lost the account.
      await this.records.setAccount({ key, next: pemOf(next) })
      try {
        await client.rollover(next)
      } catch (error) {
        // Without an answer nobody knows: both stay, and the new one is taken.
        if (error instanceof AcmeProblem) await this.records.setAccount({ key })
        throw error
      }
      this.pem = pemOf(next)
      await this.records.setAccount({ key: this.pem })
      tell({ kind: 'account-rolled-over' })
    })
  }

  async close(): Promise<void> {
    this.closed = true
    await this.current?.close()
  }

  private async open(): Promise<OrderingClient> {
    let stored: StoredAccount | undefined
    try {
      stored = await this.records.account()
    } catch (error) {
      if (this.current === undefined) throw error
      return this.current
    }
    // A change of keys may be under way: whoever is at it has the lock.
    const key = stored?.next === undefined ? stored?.key : undefined
    return this.clientOf(key ?? (await this.alone(() => this.settledKey())))
  }

  private async clientOf(pem: string): Promise<OrderingClient> {
    if (this.current !== undefined && pem === this.pem) return this.current
    const before = this.current
    this.current = this.clientFor(createPrivateKey(pem))
    this.pem = pem
    // Orders that are on their way with the old one end, and are gone on with.
    await before?.close()
    if (this.closed) await this.current.close()
    return this.current
  }

  /** The key that counts from now on: a first one, or the next one of a change that nobody is at any more. The lock is held. */
  private async settledKey(): Promise<string> {
    const stored = await this.records.account()
    if (stored !== undefined && stored.next === undefined) return stored.key
    const key = stored?.next ?? pemOf(await generateKey('ecdsa'))
    await this.records.setAccount({ key })
    return key
  }

  /** Does `what` with the lock of the account. @throws StorageError where another process keeps it */
  private async alone<T>(what: () => Promise<T>): Promise<T> {
    const { records, seams } = this
    for (let left = tries; left > 0 && !this.closed; left--) {
      let done: { readonly value: T } | undefined
      await withLock(records.storage, 'account', seams, async () => {
        done = { value: await what() }
      })
      if (done !== undefined) return done.value
      await new Promise<void>((resolve) => void seams.after(pause, resolve))
    }
    throw new StorageError('lock account', 'another process has it')
  }

  private clientFor(accountKey: KeyObject): OrderingClient {
    const { ca, directory, eab, email } = this.settings
    const { client, now } = this.seams
    const options: AcmeClientOptions = {
      directory,
      accountKey,
      agreeToTerms: true,
      ...(ca === undefined ? {} : { ca }),
      ...(eab === undefined ? {} : { eab }),
      ...(email === undefined ? {} : { contact: [`mailto:${email}`] }),
    }
    return client === undefined ? new AcmeClient(options, 'acme', { now }) : client(options)
  }
}

/** How keys are kept. */
export function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}
