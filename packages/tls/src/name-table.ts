import type { Identity } from './identity.js'
import type { IdentitySet, IdentitySets } from './identity-sets.js'

/**
 * Certificates by the names that they are for. An exact name goes before a wildcard, which stands for one label; where the
 * exact one has no certificate of some kind of key, the wildcard's is taken for that kind. Of two for the same name and kind the
 * earlier one counts.
 */
export class NameTable {
  readonly #exact = new Map<string, IdentitySet>()
  /** By what is behind the `*`: `.example.com`. */
  readonly #below = new Map<string, IdentitySet>()
  /** Served without a name: what the first certificate's first name is served by. */
  readonly first: IdentitySet | undefined
  readonly sets: ReadonlySet<IdentitySet>

  constructor(identities: readonly Identity[], sets: IdentitySets) {
    const exact = new Map<string, Identity[]>()
    const below = new Map<string, Identity[]>()
    for (const identity of identities) {
      for (const name of identity.info.names) {
        if (name.startsWith('*')) add(below, name.slice(1), identity)
        else add(exact, name, identity)
      }
    }
    for (const [suffix, those] of below) this.#below.set(suffix, sets.of(those))
    for (const [name, those] of exact)
      this.#exact.set(name, sets.of([...those, ...(this.#below.get(parentOf(name)) ?? [])]))
    const [first] = identities
    if (first !== undefined) this.first = this.#named(first.info.names[0]) ?? sets.of([first])
    this.sets = new Set([
      ...this.#exact.values(),
      ...this.#below.values(),
      ...(this.first ? [this.first] : []),
    ])
  }

  /** @param name as `readServerName` gives it */
  get(name: string): IdentitySet | undefined {
    return this.#exact.get(name) ?? this.#below.get(parentOf(name))
  }

  #named(name: string | undefined): IdentitySet | undefined {
    if (name === undefined) return undefined
    return name.startsWith('*') ? this.#below.get(name.slice(1)) : this.#exact.get(name)
  }
}

function add(to: Map<string, Identity[]>, name: string, identity: Identity): void {
  const those = to.get(name)
  if (those === undefined) to.set(name, [identity])
  else those.push(identity)
}

/** `.example.com` of `www.example.com`; of a single label the empty text, which nothing is below. */
function parentOf(name: string): string {
  const dot = name.indexOf('.')
  return dot === -1 ? '' : name.slice(dot)
}
