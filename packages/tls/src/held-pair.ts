import type { CertificateFault } from './certificate-fault.js'
import { type Identity, type KnownIssuers, type PairPlace, readIdentity } from './identity.js'
import type { KeyPair, LiveKeyPair } from './key-pair.js'

/** One certificate of a store, replaced when its source tells of another one that is good. */
export class HeldPair implements Disposable {
  identity: Identity
  readonly #disposables: Disposable[] = []

  /** @throws TypeError for a pair that is wrong now */
  constructor(
    source: KeyPair | LiveKeyPair,
    where: string | PairPlace,
    now: () => number,
    known: KnownIssuers,
    heard: { readonly fault: (fault: CertificateFault) => void; readonly changed: () => void },
  ) {
    const read = (): Identity =>
      readIdentity('current' in source ? source.current : source, where, now(), known)
    this.identity = read()
    if (!('current' in source)) return
    this.#disposables.push(
      source.watch(() => {
        try {
          this.identity = read()
        } catch (error) {
          return heard.fault({ where: this.identity.info.where, error: error as Error, kept: true })
        }
        heard.changed()
      }),
    )
  }

  /** What ends with this. */
  owns(what: Disposable): void {
    this.#disposables.push(what)
  }

  [Symbol.dispose](): void {
    for (const each of this.#disposables.splice(0)) each[Symbol.dispose]()
  }
}
