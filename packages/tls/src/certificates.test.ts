import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SecureContext } from 'node:tls'
import { inspect } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import {
  lockedKey,
  type X509Issuer,
  type X509Pair,
  x509Root,
  x509SelfSigned,
} from '../../../test/kit/x509.js'
import {
  type CertificateFault,
  type CertificateProvider,
  type CertificateSource,
  type CertificateStore,
  type CertificatesOptions,
  certificates,
  type KeyPair,
  type LiveKeyPair,
} from './index.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')
const now = Date.now()

let root: X509Issuer
let a: X509Pair
let b: X509Pair
let wild: X509Pair
let rsa: X509Pair
beforeAll(async () => {
  root = await x509Root()
  a = await root.issue({ names: ['a.test', 'www.a.test'] })
  b = await root.issue({ names: ['b.test'] })
  wild = await root.issue({ names: ['*.a.test'] })
  rsa = await root.issue({ names: ['a.test'], keyType: 'rsa' })
})

const pairOf = ({ chain, key }: X509Pair): KeyPair => ({ cert: chain, key })

function storeOf(source: unknown, options: CertificatesOptions = {}, path?: string): CertificateStore {
  const store = certificates(source as CertificateSource, options, path)
  own({ close: () => store[Symbol.dispose]() })
  return store
}

/** What only a context says of its certificate. */
function fingerprintOf(context: SecureContext | undefined): string | undefined {
  const native = (context as { context?: { getCertificate(): Buffer | null } } | undefined)?.context
  return native?.getCertificate()?.toString('base64')
}

async function served(
  store: CertificateStore,
  name: string | undefined,
): Promise<X509Pair | 'none' | 'other'> {
  const found = fingerprintOf(await store.context(name))
  if (found === undefined) return 'none'
  return [a, b, wild, rsa].find(({ der }) => der.toString('base64') === found) ?? 'other'
}

function faultOf(make: () => unknown): string[] {
  try {
    make()
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).stack).not.toMatch(/PRIVATE KEY-----|hidden/)
    return (error as Error).message.split('\n')
  }
  return []
}

/** A pair that the test replaces. */
function live(
  first: KeyPair,
): LiveKeyPair & { current: KeyPair; set(pair: KeyPair): void; readonly watchers: number } {
  const watchers = new Set<() => void>()
  return {
    current: first,
    watch(changed) {
      watchers.add(changed)
      return { [Symbol.dispose]: () => void watchers.delete(changed) }
    },
    set(pair) {
      this.current = pair
      for (const watcher of [...watchers]) watcher()
    },
    get watchers() {
      return watchers.size
    },
  }
}

describe('certificates()', () => {
  it('serves names by their certificates, and what it has none for by the first', async () => {
    const store = storeOf([pairOf(b), pairOf(a), pairOf(wild)])
    expect(await served(store, 'A.test.')).toBe(a)
    expect(await served(store, 'www.a.test')).toBe(a)
    expect(await served(store, 'x.a.test')).toBe(wild)
    for (const name of [
      'b.test',
      'none.test',
      'x.y.a.test',
      '',
      '\0',
      '*.a.test',
      'a'.repeat(300),
      undefined,
    ])
      expect(await served(store, name)).toBe(b)
    expect(store.fallback).toEqual({ cert: [b.chain], key: [{ pem: b.key }] })
    expect(store.fallback).toBe(store.fallback)
  })

  it('has nothing for such names, and no fallback, with none', async () => {
    const store = storeOf(pairOf(a), { fallback: 'none' })
    expect(await served(store, 'a.test')).toBe(a)
    for (const name of ['none.test', '', undefined]) expect(await served(store, name)).toBe('none')
    expect(store.fallback).toBeUndefined()
  })

  it('builds a context when it is asked for, once for all the names that it serves', () => {
    const store = storeOf([pairOf(a), pairOf(b), pairOf(rsa)])
    const context = store.context('www.a.test')
    expect(store.context('WWW.A.TEST')).toBe(context)
    expect(store.context('a.test')).not.toBe(context)
    expect(store.context(undefined)).toBe(store.context('a.test'))
    expect(store.context('none.test')).toBe(store.context('a.test'))
    expect(store.fallback?.cert).toEqual([a.chain, rsa.chain])
  })

  it('keeps as many contexts as it may, and builds those again that fell out', () => {
    const store = storeOf([pairOf(a), pairOf(b), pairOf(wild)], { contexts: 2 })
    const [first, second] = [store.context('www.a.test'), store.context('b.test')]
    expect(store.context('www.a.test')).toBe(first)
    void store.context('x.a.test')
    expect(store.context('www.a.test')).toBe(first)
    expect(store.context('b.test')).not.toBe(second)
  })

  it('makes contexts of their own under other settings', async () => {
    const store = storeOf([pairOf(a), pairOf(b)])
    const other = store.using({ ca: root.cert })
    const context = other.context('b.test')
    expect(context).toBe(other.context('b.test'))
    expect(context).not.toBe(store.context('b.test'))
    expect(fingerprintOf(await context)).toBe(b.der.toString('base64'))
    store.replace(pairOf(a))
    expect(fingerprintOf(await other.context('b.test'))).toBe(a.der.toString('base64'))
  })

  it('tells of what it holds, without keys', () => {
    const store = storeOf([pairOf(a), pairOf(rsa)])
    expect(store.infos()).toMatchObject([
      { names: ['a.test', 'www.a.test'], keyType: 'ecdsa', where: 'certificates[0]' },
      { names: ['a.test'], keyType: 'rsa', where: 'certificates[1]' },
    ])
    expect(inspect(store, { depth: 9 })).not.toContain('PRIVATE')
  })

  it('asks providers for names that no pair has, the first one that has some, and never for a fallback', async () => {
    const asked: string[] = []
    const of = (label: string, pair: X509Pair, late: boolean): CertificateProvider => ({
      get(name) {
        asked.push(`${label} ${name}`)
        const answer = name.startsWith(label) ? pairOf(pair) : undefined
        return late ? Promise.resolve(answer) : answer
      },
    })
    const store = storeOf([of('one', b, true), of('two', rsa, false), pairOf(a)])
    expect(await served(store, 'a.test')).toBe(a)
    expect(asked).toEqual([])
    expect(await served(store, 'one.test')).toBe(b)
    expect(await served(store, 'two.test')).toBe(rsa)
    expect(await served(store, 'none.test')).toBe(a)
    for (const name of ['not a name', undefined]) expect(await served(store, name)).toBe(a)
    expect(asked).toEqual(['one one.test', 'one two.test', 'two two.test', 'one none.test', 'two none.test'])
    expect(store.context('one.test')).toBe(store.context('one.test'))
    expect(store.infos().map(({ where }) => where)).toEqual([
      'certificates[0].get("one.test")',
      'certificates[1].get("two.test")',
      'certificates[2]',
    ])
  })

  it('tells of none that a provider has called old, but where it gives no other', async () => {
    let changed: (names?: readonly string[]) => void = () => {}
    let answer: () => KeyPair | undefined = () => pairOf(a)
    const provider: CertificateProvider = {
      get: () => answer(),
      watch(fn) {
        changed = fn
        return { [Symbol.dispose]() {} }
      },
    }
    const store = storeOf(provider)
    expect(await served(store, 'a.test')).toBe(a)
    expect(store.infos()).toHaveLength(1)
    changed(['a.test'])
    expect(store.infos()).toEqual([])
    answer = () => {
      throw new Error('down')
    }
    expect(await served(store, 'a.test')).toBe(a)
    expect(store.infos()).toHaveLength(1)
    changed()
    answer = () => pairOf(b)
    expect(await served(store, 'a.test')).toBe(b)
    expect(store.infos()).toMatchObject([{ names: ['b.test'] }])
  })

  it('has no fallback where all it has is a provider', async () => {
    const store = storeOf({ get: () => Promise.reject(new Error('down')) })
    expect(await served(store, 'a.test')).toBe('none')
    expect(await served(store, undefined)).toBe('none')
    expect(store.fallback).toBeUndefined()
  })
})

describe('a replacement', () => {
  it('of a live pair serves from then on, and a wrong one leaves the last good one', async () => {
    const faults: CertificateFault[] = []
    const published: unknown[] = []
    const hear = (message: unknown): void => void published.push(message)
    subscribe('sluice:tls:certificate', hear)
    own({ close: () => unsubscribe('sluice:tls:certificate', hear) })
    const pair = live(pairOf(a))
    const store = storeOf([pair, pairOf(wild)], { onFault: (fault) => void faults.push(fault) })
    let changes = 0
    const watch = store.watch(() => void changes++)
    const [first, other] = [store.context('a.test'), store.context('x.a.test')]
    pair.set({ cert: a.chain, key: b.key })
    expect(store.context('a.test')).toBe(first)
    expect(changes).toBe(0)
    expect(faults).toMatchObject([{ where: 'certificates[0]', kept: true }])
    expect(faults[0]?.error.message).toMatch(/^certificates\[0\]\.key: got a private key that doesn't fit/)
    expect(published).toEqual([{ kind: 'kept', ...faults[0] }])
    pair.set(pairOf(b))
    expect(changes).toBe(1)
    expect(await served(store, 'a.test')).toBe(b)
    expect(await served(store, 'b.test')).toBe(b)
    expect(store.fallback?.cert).toEqual([b.chain])
    // The context of those that stayed is the same.
    expect(store.context('x.a.test')).toBe(other)
    watch[Symbol.dispose]()
    pair.set(pairOf(a))
    expect(changes).toBe(1)
    store[Symbol.dispose]()
    expect(pair.watchers).toBe(0)
  })

  it('of all is taken as a whole or not at all', async () => {
    const pair = live(pairOf(a))
    const store = storeOf([pair, pairOf(b)])
    expect(faultOf(() => store.replace([pairOf(wild), { cert: a.chain, key: b.key }]))).toEqual([
      "certificates[1].key: got a private key that doesn't fit a certificate (CN=a.test) of certificates[1].cert, takes the one that it was made for",
    ])
    expect(await served(store, 'b.test')).toBe(b)
    expect(pair.watchers).toBe(1)
    store.replace([pairOf(wild)])
    expect(pair.watchers).toBe(0)
    expect(await served(store, 'b.test')).toBe(wild)
    expect(store.infos()).toHaveLength(1)
  })

  it('is none once the store is disposed of: nothing is watched any more', () => {
    const store = storeOf(pairOf(a))
    const { fallback } = store
    store[Symbol.dispose]()
    const pair = live(pairOf(b))
    store.replace(pair)
    expect(pair.watchers).toBe(0)
    expect(store.fallback).toBe(fallback)
  })

  it('ends who waits for a provider that has gone', async () => {
    const stalled = deferred<KeyPair>()
    const store = storeOf([{ get: () => stalled.promise }, pairOf(b)])
    const waiting = store.context('a.test')
    store.replace(pairOf(a))
    expect(fingerprintOf(await waiting)).toBe(a.der.toString('base64'))
  })

  it('is told to all watchers, be one of them wrong', async () => {
    const store = storeOf(pairOf(a))
    let heard = 0
    store.watch(() => {
      throw new Error('mine')
    })
    store.watch(() => void heard++)
    store.watch(() => Promise.reject(new Error('mine, too')) as never)
    store.replace(pairOf(b))
    expect(heard).toBe(1)
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual(['mine', 'mine, too'].map((text) => `a watcher of certificates threw: ${text}`))
  })
})

it.each<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw new Error('mine')
    },
  ],
  ['rejects', () => Promise.reject(new Error('mine'))],
])('tells of a function for faults that %s, and goes on', async (_, fails) => {
  const onFault = fails as () => void
  const store = storeOf([{ get: () => Promise.reject(new Error('down')) }, pairOf(a)], { onFault })
  expect(await served(store, 'x.test')).toBe(a)
  await new Promise((resolve) => setImmediate(resolve))
  expect(warnings).toEqual([expect.stringContaining('onFault threw: mine')])
})

describe('what is wrong at the start', () => {
  it.each<[string, unknown, string]>([
    [
      'nothing',
      undefined,
      'certificates: got nothing, takes { cert, key }, { certFile, keyFile }, { current, watch }, or { get } for names',
    ],
    ['a text', 'hidden', 'certificates: got a text, takes { cert, key }, {'],
    ['a Buffer', Buffer.from('hidden'), 'certificates: got a Buffer, takes { cert, key }, {'],
    ['an empty list', [], 'certificates: got an empty list, takes {'],
    ['a list in a list', [[]], 'certificates[0]: got a list in it, takes {'],
    ['nothing in a list', [null], 'certificates[0]: got null, takes {'],
    ['an object of something else', { pfx: 'hidden' }, 'certificates: got none of them, takes {'],
    ['a pair of nothing', { cert: '' }, 'certificates.cert: got an empty text, takes a certificate (PEM)'],
    [
      'a path for PEM',
      { cert: '/hidden/cert.pem', key: 'x' },
      'certificates.cert: got no certificate, but what looks like a path, takes',
    ],
  ])('%s', (_, source, says) => {
    const [fault, ...more] = faultOf(() => storeOf(source))
    expect(fault).toContain(says)
    expect(more).toEqual([])
  })

  it('is told of all at once, and none is left open', () => {
    const pair = live(pairOf(a))
    const wrong = { cert: a.chain, key: 'hidden' }
    expect(faultOf(() => storeOf([pair, wrong, {}, pairOf(b), wrong], {}, 'tls.certificates'))).toEqual([
      'tls.certificates[1].key: got no private key, takes the private key of the certificate (PEM)',
      expect.stringMatching(/^tls\.certificates\[2\]: got none of them/),
      'tls.certificates[4].key: got no private key, takes the private key of the certificate (PEM)',
    ])
    expect(pair.watchers).toBe(0)
    expect(faultOf(() => storeOf(Array.from({ length: 30 }, () => ({})))).slice(19)).toEqual([
      expect.stringMatching(/^certificates\[19\]/),
      '… and 10 more',
    ])
  })

  it('is told by file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
    own({ close: () => rmSync(folder, { recursive: true, force: true }) })
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const expired = await x509SelfSigned({ names: ['a.test'], notAfter: now - 1_000 })
    const [cert, key] = [file('cert.pem', expired.chain), file('key.pem', expired.key)]
    expect(faultOf(() => storeOf({ certFile: cert, keyFile: key }))[0]).toContain(
      `${cert}: got a certificate (CN=a.test), which expired at`,
    )
    const [good, locked] = [file('good.pem', a.chain), file('locked.pem', lockedKey(a.key, 'hidden'))]
    expect(faultOf(() => storeOf({ certFile: good, keyFile: locked, passphrase: 'hidden?' }))[0]).toContain(
      `${locked}: got a passphrase that doesn't open the private key`,
    )
    const store = storeOf({ certFile: good, keyFile: locked, passphrase: 'hidden' })
    expect(await served(store, 'a.test')).toBe(a)
  })

  it.each<[unknown, string]>([
    [{ fallback: 'last' }, "certificates.fallback: got 'last', takes 'first', 'none'"],
    [{ contexts: 0 }, 'certificates.contexts: got 0, takes a whole number from 1 to 1000000'],
    [{ timeout: 0 }, 'certificates.timeout: got 0, takes more than 0'],
    [{ lookups: 1.5 }, 'certificates.lookups: got 1.5, takes a whole number from 1 to 100000'],
    [{ missing: -1 }, 'certificates.missing: got -1, takes milliseconds'],
    [{ refresh: 'daily' }, "certificates.refresh: got 'daily', takes milliseconds"],
    [{ onFault: true }, 'certificates.onFault: got true, takes a function'],
    [{ watch: true }, 'certificates.watch: unknown option'],
  ])('an option: %j', (options, says) => {
    expect(faultOf(() => certificates(pairOf(a), options as CertificatesOptions))[0]).toContain(says)
  })
})
