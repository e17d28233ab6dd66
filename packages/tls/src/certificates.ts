import type { SecureContext } from 'node:tls'
import { AskedNames } from './asked-names.js'
import { callOut } from './call-out.js'
import { type CertificateFault, tellFault } from './certificate-fault.js'
import type { CertificateInfo } from './certificate-info.js'
import type { CertificateSource } from './certificate-source.js'
import type { CertificateStore, ContextSettings, ServerContexts } from './certificate-store.js'
import { ContextTable, materialOf, type ServerCertificates } from './context-table.js'
import { HeldPair } from './held-pair.js'
import type { Identity } from './identity.js'
import { type IdentitySet, IdentitySets } from './identity-sets.js'
import type { MustStaple } from './must-staple.js'
import { NameTable } from './name-table.js'
import { type ReadSource, readSource } from './read-source.js'
import { readServerName } from './server-name.js'
import { type SniCallback, sniCallbackOf } from './sni-callback.js'
import {
  type CertificatesOptions,
  readStoreOptions,
  type StoreSeams,
  type StoreSettings,
} from './store-options.js'

/**
 * Certificates by the names that clients ask for (SNI), from pairs, files or providers, to be replaced while they serve.
 *
 * - A name is served by the certificates that have it, else by those with the wildcard above it, else by the first provider that has some,
 *   else by the fallback. Pairs and files come before providers, in the order of the source.
 * - Certificates of several kinds of key for one name are in one context: each client gets what it can use.
 * - A context is built when it is first asked for, and kept while it is used.
 * - A replacement that is wrong is told of, and the last good one serves on.
 *
 * @param path where the source stands in what the user wrote, for errors
 * @throws TypeError with a line for each certificate that can't serve: which option or file, which certificate of its chain, and why
 */
export function certificates(
  source: CertificateSource,
  options: CertificatesOptions = {},
  path = 'certificates',
  seams: StoreSeams = {},
): CertificateStore {
  return new Store(source, readStoreOptions(options, path, seams), path)
}

class Store implements CertificateStore {
  readonly #sets = new IdentitySets()
  #source: ReadSource
  /** Made anew when it is next asked for: a thousand files may change at once. */
  #names: NameTable | undefined
  #served: ReadonlySet<IdentitySet> = new Set()
  #asked: readonly AskedNames[] = []
  #fallback: { readonly set: IdentitySet; readonly material: ServerCertificates } | undefined
  readonly #tables = new Set<WeakRef<ContextTable>>()
  readonly #own: ServerContexts
  readonly #watchers = new Set<() => unknown>()
  #disposed = false

  constructor(
    source: CertificateSource,
    private readonly settings: StoreSettings,
    private readonly path: string,
  ) {
    this.#source = this.#read(source)
    this.#own = this.using({})
    this.#table()
  }

  get sniCallback(): SniCallback {
    return this.#own.sniCallback
  }

  get fallback(): ServerCertificates | undefined {
    const set = this.#first()
    if (set === undefined) return undefined
    if (this.#fallback?.set !== set) this.#fallback = { set, material: materialOf(set) }
    return this.#fallback.material
  }

  context(servername: string | undefined): SecureContext | undefined | Promise<SecureContext | undefined> {
    return this.#own.context(servername)
  }

  using(settings: ContextSettings): ServerContexts {
    const table = new ContextTable(this.settings.contexts, settings, (set, error) => {
      const [{ info }] = set as [IdentitySet[0]]
      this.#fault({ where: info.where, error, kept: false })
    })
    this.#tables.add(new WeakRef(table))
    return {
      context: (servername) => this.#context(table, servername),
      sniCallback: sniCallbackOf({
        find: (servername) => this.#find(servername),
        fallback: () => this.#first(),
        context: (identity) => table.get(this.#sets.of([identity])),
      }),
    }
  }

  infos(): readonly CertificateInfo[] {
    return this.#identities().map(({ info }) => info)
  }

  mustStaple(): readonly MustStaple[] {
    return this.#identities().flatMap(({ mustStaple = [] }) => mustStaple)
  }

  #identities(): readonly Identity[] {
    const identities = this.#source.parts.flatMap((part) =>
      part instanceof HeldPair ? [part.identity] : [...part.identities()],
    )
    return [...new Set(identities)]
  }

  replace(source: CertificateSource): void {
    const [before, read] = [this.#source, this.#read(source)]
    // Nobody would end its watching.
    if (this.#disposed) return read[Symbol.dispose]()
    this.#source = read
    before[Symbol.dispose]()
    this.#eachTable((table) => table.clear())
    this.#changed()
  }

  watch(changed: () => void): Disposable {
    // Each call is one of its own, whoever watches twice. What it gives may be a promise.
    const own = (): unknown => changed()
    this.#watchers.add(own)
    return { [Symbol.dispose]: () => void this.#watchers.delete(own) }
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#watchers.clear()
    this.#source[Symbol.dispose]()
  }

  #read(source: CertificateSource): ReadSource {
    return readSource(source, this.path, this.settings, this.#sets, {
      fault: (fault) => this.#fault(fault),
      changed: () => this.#changed(),
      gone: (set) => this.#gone(set),
    })
  }

  #context(table: ContextTable, servername: string | undefined): ReturnType<ServerContexts['context']> {
    const set = servername === undefined ? this.#first() : this.#find(servername)
    return set instanceof Promise ? set.then((late) => this.#built(table, late)) : this.#built(table, set)
  }

  /** What serves a name, the fallback included. */
  #find(servername: string): IdentitySet | undefined | Promise<IdentitySet | undefined> {
    const name = readServerName(servername)
    if (name === undefined) return this.#first()
    const set = this.#table().get(name) ?? ask(this.#asked, name)
    return set instanceof Promise ? set.then((late) => late ?? this.#first()) : (set ?? this.#first())
  }

  #built(table: ContextTable, set: IdentitySet | undefined): SecureContext | undefined {
    const context = set && table.get(set)
    if (context !== undefined) return context
    const first = this.#first()
    return first && table.get(first)
  }

  #first(): IdentitySet | undefined {
    return this.settings.fallback === 'first' ? this.#table().first : undefined
  }

  #table(): NameTable {
    if (this.#names !== undefined) return this.#names
    const { parts } = this.#source
    const held = parts.filter((part) => part instanceof HeldPair)
    this.#asked = parts.filter((part) => part instanceof AskedNames)
    const names = new NameTable(
      held.map(({ identity }) => identity),
      this.#sets,
    )
    for (const set of this.#served) if (!names.sets.has(set)) this.#gone(set)
    this.#served = names.sets
    this.#names = names
    return names
  }

  #gone(set: IdentitySet): void {
    for (const each of [set, ...set.map((identity) => this.#sets.of([identity]))])
      this.#eachTable((table) => table.delete(each))
  }

  #eachTable(fn: (table: ContextTable) => void): void {
    for (const ref of this.#tables) {
      const table = ref.deref()
      if (table === undefined) this.#tables.delete(ref)
      else fn(table)
    }
  }

  #changed(): void {
    this.#names = undefined
    for (const watcher of this.#watchers) callOut('a watcher of certificates', watcher)
  }

  #fault(fault: CertificateFault): void {
    tellFault(fault, this.settings.onFault)
  }
}

function ask(
  providers: readonly AskedNames[],
  name: string,
  from = 0,
): IdentitySet | undefined | Promise<IdentitySet | undefined> {
  for (let i = from; i < providers.length; i++) {
    const found = (providers[i] as AskedNames).get(name)
    if (found instanceof Promise) return found.then((set) => set ?? ask(providers, name, i + 1))
    if (found !== undefined) return found
  }
  return undefined
}
