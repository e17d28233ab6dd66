import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fakeAuthority } from '../../../test/kit/fake-authority.js'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { memoryAcmeStorage } from '../../../test/kit/memory-acme-storage.js'
import { until } from '../../../test/kit/until.js'
import { pemOf } from './account-keeper.js'
import { acme } from './acme.js'
import type { AcmeEvent } from './acme-event.js'
import type { AcmeOptions } from './acme-options.js'
import { AcmeProblem } from './acme-problem.js'

const events: AcmeEvent[] = []
const note = (event: unknown): void => void events.push(event as AcmeEvent)
beforeEach(() => {
  events.length = 0
  subscribe('sluice:acme', note)
})
afterEach(() => void unsubscribe('sluice:acme', note))
const kinds = (): string[] => events.map(({ kind }) => kind)

function rig(options: Partial<AcmeOptions> = {}) {
  const timers = handTimers()
  const authority = fakeAuthority(Date.now)
  const storage = memoryAcmeStorage(Date.now)
  const make = (more: Partial<AcmeOptions> = {}) =>
    acme({ domains: ['a.test'], agreeToTerms: true, storage, ...options, ...more }, '', {
      after: timers.after,
      client: authority.client,
      random: () => 0,
    })
  return { authority, make, storage, timers }
}

describe('acme', () => {
  it('asks and opens nothing before it is begun', async () => {
    const { authority, make, storage, timers } = rig()
    storage.trouble = { calls: ['all'], what: 'throw' }
    const one = make()
    expect(one.certificates()).toMatchObject([{ names: ['a.test'], notAfter: undefined, due: undefined }])
    await one.close()
    expect(authority.orders).toEqual([])
    expect(timers.waits).toEqual([])
    expect(events).toEqual([])
  })

  it.each(['throw', 'hang'] as const)(
    'gives nothing, and no error, while a storage does %s',
    async (what) => {
      const { make, storage, timers } = rig()
      storage.trouble = { calls: ['all'], what }
      const one = make()
      const got = one.get('a.test')
      if (what === 'hang') await timers.fire(10_000)
      expect(await got).toBeUndefined()
      expect(await one.get('b.test')).toBeUndefined()
      const asked = [one.http01('x'.repeat(40)), one.challengeCertificate('a.test')]
      if (what === 'hang') for (const _ of asked) await timers.fire(10_000)
      expect(await Promise.all(asked)).toEqual([undefined, undefined])
      await one.close()
    },
  )

  it('gives nothing for tokens that are none, without a look at the storage', async () => {
    const { make, storage } = rig()
    const one = make()
    storage.values.set('acme-v02.api.letsencrypt.org-directory/account', '{"text":"x","until":9e15}')
    expect(await one.http01('../../account')).toBeUndefined()
    expect(await one.http01('')).toBeUndefined()
    await one.close()
  })

  it('answers challenges of another process, and says when somebody may ask', async () => {
    const { authority, make } = rig({ challenges: ['tls-alpn-01'] })
    let open = (): void => {}
    authority.gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const one = make()
    const other = make()
    expect(other.hasChallenges()).toBe(true)
    const started = one.start()
    const pair = await until(() => other.challengeCertificate('A.test'), 'an answer')
    expect(pair.cert).toContain('BEGIN CERTIFICATE')
    expect(await other.challengeCertificate('b.test')).toBeUndefined()
    open()
    await started
    expect(await other.challengeCertificate('a.test')).toBeUndefined()
    await other.start()
    // Whoever has all it wants may be asked all the same: the others may have an order of their own.
    expect(other.hasChallenges()).toBe(true)
    expect(await other.get('a.test')).toEqual(await one.get('a.test'))
    await Promise.all([one.close(), other.close()])
  })

  it('asks its storage for names alone, whatever clients say', async () => {
    const { make, storage } = rig()
    const keys: string[] = []
    const one = make({ storage: { ...storage, get: async (key) => void keys.push(key) } })
    for (const name of ['../account', 'a.test/../../account', 'a test', '', '*', '%2e', 'a'.repeat(300)])
      expect(await one.challengeCertificate(name)).toBeUndefined()
    expect(keys).toEqual([])
    await one.close()
  })

  it('never looks for TLS-ALPN-01 where it is not answered', async () => {
    const { make } = rig({ challenges: ['http-01'] })
    const one = make()
    expect(one.hasChallenges()).toBe(false)
    await one.close()
  })

  it('tells of what has changed until disposed; one who throws keeps others from nothing', async () => {
    const { make } = rig({ domains: [['a.test', 'b.test']] })
    const one = make()
    const told: unknown[] = []
    one.watch(() => {
      throw new Error('of a listener')
    })
    one.watch(() => {
      throw Object.create(null)
    })
    const watch = one.watch((names) => told.push(names))
    await one.start()
    expect(told).toEqual([['a.test', 'b.test']])
    watch[Symbol.dispose]()
    await one.revoke('b.test')
    await until(() => kinds().filter((kind) => kind === 'issued').length === 2, 'another')
    expect(told).toHaveLength(1)
    await one.close()
  })

  it('leaves no timer when it is closed, and still gives what it has', async () => {
    const { make, timers } = rig()
    const one = make()
    await one.start()
    await until(() => timers.waits.length === 1, 'the next turn')
    await one.close()
    await one[Symbol.asyncDispose]()
    expect(timers.waits).toEqual([])
    expect(await one.get('a.test')).toHaveLength(1)
    expect(one.hasChallenges()).toBe(false)
    await one.start()
    expect(timers.waits).toEqual([])
  })

  it('gives up what is under way when it is closed, and takes its answers away', async () => {
    const { authority, make, storage } = rig({ challenges: ['http-01'] })
    let open = (): void => {}
    authority.gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const answers = () => [...storage.values.keys()].filter((key) => key.includes('challenges'))
    const one = make()
    const started = one.start()
    await until(() => answers().length === 1, 'an answer')
    const closed = one.close()
    // As the client does for what is under way.
    open()
    await Promise.all([closed, started])
    expect(answers()).toEqual([])
    // The order is there to be gone on with.
    expect([...storage.values.keys()].some((key) => key.endsWith('orders/a.test/current'))).toBe(true)
  })

  it.each([
    ['throws', () => Promise.reject(new Error('zone API: 500'))],
    [
      'throws at once',
      (): never => {
        throw new Error('zone API: 500')
      },
    ],
    ['hangs', () => new Promise<void>(() => {})],
  ])('fails an order whose dns.set %s, and removes what may have been set', async (how, set) => {
    const removed: string[] = []
    const dns = { wait: 0, set, remove: (name: string) => void removed.push(name) }
    const { authority, make, timers } = rig({ domains: ['*.a.test'], dns })
    const one = make()
    const started = one.start()
    if (how === 'hangs') await timers.fire(60_000)
    await started
    const [failed] = events.filter((event) => event.kind === 'failed')
    expect(failed).toMatchObject({ names: ['*.a.test'], failures: 1 })
    expect((failed as { problem: string }).problem).toMatch(
      /^dns\.set of _acme-challenge\.a\.test: (zone API: 500|no answer within 60000 ms)$/,
    )
    expect(removed).toEqual(['_acme-challenge.a.test'])
    expect(authority.orders).toHaveLength(1)
    await one.close()
  })

  it('removes a record that is set when nobody waits for it any more', async () => {
    const calls: string[] = []
    let come = (): void => {}
    const dns = {
      wait: 0,
      set: () =>
        new Promise<void>((resolve) => {
          come = () => {
            calls.push('set')
            resolve()
          }
        }),
      remove: () => void calls.push('remove'),
    }
    const { make, timers } = rig({ domains: ['*.a.test'], dns })
    const one = make()
    const started = one.start()
    await timers.fire(60_000)
    await started
    expect(calls).toEqual(['remove'])
    come()
    await until(() => calls.length === 3, 'the late record to go')
    expect(calls).toEqual(['remove', 'set', 'remove'])
    await one.close()
  })

  it('revokes by its own key what another account has ordered', async () => {
    const { authority, make } = rig()
    const one = make()
    await one.start()
    const { key } = (await one.get('a.test'))?.[0] ?? {}
    const asked: (string | undefined)[] = []
    const client = authority.client()
    client.revoke = async (_cert, { key: own } = {}) => {
      asked.push(own && pemOf(own))
      const detail = { type: 'unauthorized', detail: 'of another account', subproblems: [] }
      if (own === undefined)
        throw new AcmeProblem(detail, { phase: 'revocation', url: 'https://ca.test', status: 403 })
    }
    await one.revoke('a.test', 1)
    expect(asked).toEqual([undefined, key])
    expect(kinds()).toContain('revoked')
    await one.close()
  })

  it('shows no key to who logs it', async () => {
    const { make } = rig({ eab: { kid: 'kid', hmacKey: 'c2VjcmV0LXNlY3JldC1zZWNyZXQ' } })
    const one = make()
    await one.start()
    const text = inspect({ one }, { depth: 20, showHidden: true })
    expect(text).not.toMatch(/PRIVATE KEY|c2VjcmV0/)
    expect(text).toContain('a.test')
    await one.close()
  })

  it('does not take a lock that is null, as databases say it, for one that is held', async () => {
    const { authority, make, storage } = rig()
    const lock = async () => null as unknown as undefined
    const get = async (key: string) => (await storage.get(key)) ?? (null as unknown as undefined)
    // The account is there.
    const before = make()
    await before.start()
    await before.close()
    for (const key of storage.values.keys()) if (!key.includes('account')) storage.values.delete(key)
    const one = make({ storage: { ...storage, get, lock } })
    void one.start()
    await until(() => one.certificates()[0]?.due !== undefined, 'the next turn')
    expect(authority.orders).toHaveLength(1)
    expect(events.filter(({ kind }) => kind === 'storage')).toEqual([])
    await one.close()
  })

  it('issues all the same where dns.remove fails, tells what is left, and tries again', async () => {
    let works = false
    const removed: string[] = []
    const dns = {
      wait: 0,
      set() {},
      remove(name: string) {
        if (!works) throw new Error('zone API: 500')
        removed.push(name)
      },
    }
    const { make, timers } = rig({ dns })
    const one = make()
    await one.start()
    expect(await one.get('a.test')).toHaveLength(1)
    expect(events.find(({ kind }) => kind === 'left-behind')).toEqual({
      kind: 'left-behind',
      what: 'the dns-01 answer for a.test',
      problem: 'dns.remove of _acme-challenge.a.test: zone API: 500',
    })
    works = true
    await timers.fire(1_000)
    await until(() => removed.length > 0, 'the record to go')
    expect(removed).toEqual(['_acme-challenge.a.test'])
    await one.close()
  })

  it('waits until records are seen, as long as it is told', async () => {
    const dns = { wait: '45s', set() {}, remove() {} } as const
    const { make, timers } = rig({ dns })
    const one = make()
    const started = one.start()
    await timers.fire(45_000)
    await started
    expect(await one.get('a.test')).toHaveLength(1)
    await one.close()
  })

  it('counts what can not be read as missing, by its key and never by its value', async () => {
    const { make, storage } = rig()
    const prefix = 'acme-v02.api.letsencrypt.org-directory/'
    storage.values.set(`${prefix}certificates/a.test/ecdsa`, '{"secret":')
    const one = make()
    await one.start()
    expect(events[0]).toEqual({
      kind: 'storage',
      problem: 'acme storage: certificates/a.test/ecdsa can not be read, and counts as missing',
    })
    expect(await one.get('a.test')).toHaveLength(1)
    await one.close()
  })

  it('tells of a certificate in the storage whose key is another one', async () => {
    const { make, storage } = rig()
    const one = make()
    await one.start()
    await one.close()
    const [at, text] = [...storage.values].find(([key]) => key.endsWith('a.test/ecdsa')) ?? ['', '']
    const { key, ...rest } = JSON.parse(text)
    storage.values.set(at, JSON.stringify({ ...rest, key: key.replace(/[a-z]/, 'A') }))
    const other = make()
    await other.start()
    const told = events.flatMap((event) => (event.kind === 'storage' ? [event.problem] : []))
    expect(told[0]).toBe('acme storage: certificates/a.test/ecdsa can not be read, and counts as missing')
    expect(await other.get('a.test')).toHaveLength(1)
    await other.close()
  })

  it('keeps apart what belongs to two authorities', async () => {
    const { make, storage } = rig()
    const staging = make({ directory: 'https://acme-staging-v02.api.letsencrypt.org/directory' })
    await staging.start()
    const real = make()
    expect(await real.get('a.test')).toBeUndefined()
    await Promise.all([staging.close(), real.close()])
    expect([...storage.values.keys()].every((key) => key.startsWith('acme-staging-v02.api'))).toBe(true)
  })

  it('removes answers of orders that nobody has gone on with', async () => {
    const { make, storage } = rig()
    const key = 'acme-v02.api.letsencrypt.org-directory/challenges/http-01/old-token-of-an-order'
    storage.values.set(key, JSON.stringify({ text: 'x', until: Date.now() - 1 }))
    const one = make()
    await one.start()
    await until(() => !storage.values.has(key), 'the answer to go')
    await one.close()
  })
})
