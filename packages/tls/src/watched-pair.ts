import { FileText, FileWatch } from '@sluice/files'
import { fault } from '@sluice/options'
import type { After } from './after.js'
import { certificateChannel, log } from './certificate-channel.js'
import type { CertificateFault } from './certificate-fault.js'
import type { CertificateInfo } from './certificate-info.js'
import type { CertificateFiles } from './certificate-source.js'
import { type Identity, readIdentity } from './identity.js'
import type { KeyPair, LiveKeyPair } from './key-pair.js'

/** More than that is no certificate with its chain, but something that has gone wrong. */
const mostBytes = 1_048_576
/** The wait after what can't be used, in ms: twice as long each time it still can't be. */
const firstRetry = 1_000

/** What a {@link WatchedPair} goes by. Times in ms. */
export interface WatchedPairSettings {
  readonly debounce: number
  readonly poll: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly after: After
  /** Hears what is wrong with the files; the last pair is kept. */
  readonly fault: (fault: CertificateFault) => void
}

/**
 * A pair in two files, the newest that is good.
 *
 * constructed ─▶ read at once; what is wrong is thrown
 * then, until disposed: watch, look, wait
 *   a sign of a change ─▶ looks `debounce` later
 *   written to while it is read ─▶ once more, `debounce` later
 *   good and other than the last ─▶ is the current one
 *   as before, and that was good ─▶ looks after `poll`
 *   not good (half of it is new, say) ─▶ told once for each thing that is wrong; looks after 1 s, 2 s, 4 s… up to `poll`
 */
export class WatchedPair implements LiveKeyPair, Disposable {
  /** No listing of it shows a key. */
  #current: KeyPair
  readonly #files: CertificateFiles
  /** The last one that was looked at, if it is not good. */
  #bad: KeyPair | undefined = undefined
  private identity: Identity
  private readonly cert: FileText
  private readonly key: FileText
  private readonly near: FileWatch
  private readonly listeners = new Set<() => void>()
  /** What is wrong with the files, as it was told. */
  private told: string | undefined = undefined
  private failures = 0
  /** There is a sign of a change that nobody has looked at. */
  private touched = false
  private cancel: (() => void) | undefined = undefined
  private closed = false

  /** @throws TypeError that names the file, or the option below `path`, and what is wrong with it */
  constructor(
    files: CertificateFiles,
    private readonly settings: WatchedPairSettings,
    path: string,
  ) {
    const { certFile, keyFile } = files
    this.#files = files
    this.cert = new FileText(certFile, mostBytes)
    this.key = certFile === keyFile ? this.cert : new FileText(keyFile, mostBytes)
    const [cert, key] = readBoth(this.cert, this.key, path)
    this.#current = this.pairOf(cert, key)
    this.identity = this.judge(this.#current)
    this.near = new FileWatch(
      [certFile, keyFile],
      () => this.touch(),
      (error) => {
        if (log.enabled) log('%s: looked at every %d ms: %O', certFile, settings.poll, error)
      },
    )
    void this.round(false)
  }

  get current(): KeyPair {
    return this.#current
  }

  /** Of the current one, for `watchExpiry`. */
  infos(): readonly CertificateInfo[] {
    return [this.identity.info]
  }

  watch(changed: () => void): Disposable {
    const own = (): void => changed()
    this.listeners.add(own)
    return { [Symbol.dispose]: () => void this.listeners.delete(own) }
  }

  [Symbol.dispose](): void {
    this.closed = true
    this.cancel?.()
    this.cancel = undefined
    this.listeners.clear()
    this.near[Symbol.dispose]()
  }

  private touch(): void {
    if (this.touched || this.closed) return
    this.touched = true
    // In the middle of a look it counts for the next one.
    if (this.cancel === undefined) return
    this.cancel()
    this.wait(Math.min(this.settings.debounce, this.settings.poll))
  }

  private wait(ms: number): void {
    this.cancel = this.settings.after(ms, () => {
      this.cancel = undefined
      const told = this.touched
      this.touched = false
      void this.round(told)
    })
  }

  /** Looks, and sees to the next look. It never rejects. */
  private async round(told: boolean): Promise<void> {
    const { debounce, poll } = this.settings
    let busy = false
    try {
      // Watched first, or a change between the two would be missed.
      await this.near.arm()
      const cert = await this.cert.look(told)
      const key = this.key === this.cert ? cert : await this.key.look(told)
      if (this.closed) return
      if (cert === undefined || key === undefined) busy = true
      else this.take(cert, key)
    } catch (error) {
      if (this.closed) return
      this.#bad = undefined
      this.fail(error as Error)
    }
    if (this.touched || busy) {
      this.touched = true
      this.wait(Math.min(debounce, poll))
    } else this.wait(this.failures === 0 ? poll : Math.min(firstRetry * 2 ** (this.failures - 1), poll))
  }

  private take(cert: string, key: string): void {
    const before = this.#current
    if (cert !== before.cert || key !== before.key) {
      const next = this.pairOf(cert, key)
      try {
        this.identity = this.judge(next)
      } catch (error) {
        // What is said of the same pair may have the time in it.
        const said = cert === this.#bad?.cert && key === this.#bad.key
        this.#bad = next
        this.fail(error as Error, said)
        return
      }
      this.#current = next
    }
    this.failures = 0
    this.told = undefined
    this.#bad = undefined
    if (this.#current !== before) this.tell()
  }

  private fail(error: Error, said = error.message === this.told): void {
    // Not that often that numbers run over.
    this.failures = Math.min(this.failures + 1, 30)
    this.told = error.message
    if (said) return
    this.settings.fault({ where: this.#files.certFile, error, kept: true })
  }

  private tell(): void {
    const { info } = this.identity
    if (log.enabled)
      log('%s: another certificate, until %s', info.where, new Date(info.notAfter).toISOString())
    if (certificateChannel.hasSubscribers)
      certificateChannel.publish({ kind: 'loaded', where: info.where, info })
    for (const listener of [...this.listeners]) {
      try {
        listener()
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        process.emitWarning(`who watches ${info.where} threw: ${text}`, 'SluiceWarning')
      }
    }
  }

  private pairOf(cert: string, key: string): KeyPair {
    const { passphrase } = this.#files
    return Object.freeze(passphrase === undefined ? { cert, key } : { cert, key, passphrase })
  }

  private judge(pair: KeyPair): Identity {
    const { certFile: cert, keyFile: key } = this.#files
    return readIdentity(pair, { cert, key }, this.settings.now())
  }
}

/** Both now; what is wrong with either is told. */
function readBoth(cert: FileText, key: FileText, path: string): [string, string] {
  const faults: string[] = []
  const read = (name: string, file: FileText): string => {
    try {
      return file.readNow()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const why = code === undefined ? message : `${file.path}, which can't be read (${message})`
      faults.push(fault(`${path}.${name}`, why, 'a file of PEM'))
      return ''
    }
  }
  const texts: [string, string] = [read('certFile', cert), read('keyFile', key)]
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  return texts
}
