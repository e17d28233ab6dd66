import { fault } from '@sluice/options'
import { AskedNames } from './asked-names.js'
import type { CertificateFault } from './certificate-fault.js'
import type { CertificateFiles, CertificateProvider, CertificateSource } from './certificate-source.js'
import { HeldPair } from './held-pair.js'
import type { KnownIssuers } from './identity.js'
import type { IdentitySet, IdentitySets } from './identity-sets.js'
import type { KeyPair, LiveKeyPair } from './key-pair.js'
import { storedPairFiles } from './key-pair-files.js'
import type { StoreSettings } from './store-options.js'

/** Faults that are told of at once. */
const mostFaults = 20

const takes = '{ cert, key }, { certFile, keyFile }, { current, watch }, or { get } for names'

/** What a source consists of, in its order. */
export interface ReadSource extends Disposable {
  readonly parts: readonly (HeldPair | AskedNames)[]
}

/** What the parts of a source tell. */
export interface SourceEvents {
  readonly fault: (fault: CertificateFault) => void
  readonly changed: () => void
  /** A set that is served no more. */
  readonly gone: (set: IdentitySet) => void
}

/** @throws TypeError with a line for each wrong part, and then nothing is left open */
export function readSource(
  source: CertificateSource,
  path: string,
  settings: StoreSettings,
  sets: IdentitySets,
  events: SourceEvents,
): ReadSource {
  const known: KnownIssuers = new Map()
  const parts: (HeldPair | AskedNames)[] = []
  const dispose = (): void => {
    for (const part of parts) part[Symbol.dispose]()
  }
  const faults: string[] = []
  const isList = Array.isArray(source)
  const list: readonly unknown[] = isList ? source : [source]
  if (list.length === 0) faults.push(fault(path, 'an empty list', takes))
  list.forEach((origin, i) => {
    const where = isList ? `${path}[${i}]` : path
    try {
      parts.push(readOrigin(origin, where, settings, sets, known, events))
    } catch (error) {
      faults.push(...(error as Error).message.split('\n'))
    }
  })
  if (faults.length === 0) return { parts, [Symbol.dispose]: dispose }
  dispose()
  const more = faults.length - mostFaults
  throw new TypeError(
    [...faults.slice(0, mostFaults), ...(more > 0 ? [`… and ${more} more`] : [])].join('\n'),
  )
}

function readOrigin(
  origin: unknown,
  where: string,
  settings: StoreSettings,
  sets: IdentitySets,
  known: KnownIssuers,
  events: SourceEvents,
): HeldPair | AskedNames {
  if (typeof origin !== 'object' || origin === null || Array.isArray(origin) || Buffer.isBuffer(origin))
    throw new TypeError(fault(where, kindOf(origin), takes))
  const given = origin as Partial<KeyPair & CertificateFiles & LiveKeyPair & CertificateProvider>
  if (typeof given.get === 'function')
    return new AskedNames(given as CertificateProvider, where, settings, sets, known, events)
  const held = (pair: KeyPair | LiveKeyPair, place: string | { cert: string; key: string }): HeldPair =>
    new HeldPair(pair, place, settings.now, known, events)
  if ('certFile' in given || 'keyFile' in given) {
    const files = storedPairFiles(given as CertificateFiles, events.fault, where, settings)
    try {
      const pair = held(files, { cert: given.certFile as string, key: given.keyFile as string })
      pair.owns(files)
      return pair
    } catch (error) {
      files[Symbol.dispose]()
      throw error
    }
  }
  if ('current' in given && typeof given.watch === 'function') return held(given as LiveKeyPair, where)
  if ('cert' in given || 'key' in given) return held(given as KeyPair, where)
  throw new TypeError(fault(where, 'none of them', takes))
}

/** What a value is, since it may hold a key. */
function kindOf(value: unknown): string {
  if (value === undefined || value === null) return value === null ? 'null' : 'nothing'
  if (Array.isArray(value)) return 'a list in it'
  if (Buffer.isBuffer(value)) return 'a Buffer'
  return typeof value === 'string' ? 'a text' : `a ${typeof value}`
}
