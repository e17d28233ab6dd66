import type { Identity } from './identity.js'

/** What one name is served by: one certificate of each kind of key, together in one context. */
export type IdentitySet = readonly Identity[]

/** What begins with the same identities: the set of these alone, and what goes on with another. */
interface Begun {
  set?: IdentitySet
  /** Made with the first one that goes on: most names have one certificate, and there may be ten thousand. */
  next?: WeakMap<Identity, Begun>
}

/**
 * Gives the same set for the same identities, so that a context is built once for all the names that they serve. Sets go with any of
 * theirs: one certificate for all names may be in a new set each time that the other kind is renewed.
 */
export class IdentitySets {
  readonly #none: Begun = {}

  /** @param candidates the most fitting first; of each kind of key the first one counts */
  of(candidates: readonly Identity[]): IdentitySet {
    const chosen = candidates.filter(
      (one, i) => candidates.findIndex((other) => other.info.keyType === one.info.keyType) === i,
    )
    if (chosen.length === 0) throw new RangeError('a set has an identity at least')
    let begun = this.#none
    for (const identity of chosen) {
      begun.next ??= new WeakMap()
      let further = begun.next.get(identity)
      if (further === undefined) {
        further = {}
        begun.next.set(identity, further)
      }
      begun = further
    }
    begun.set ??= chosen
    return begun.set
  }
}
