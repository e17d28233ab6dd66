import { X509Certificate } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type AcmeEvent, type AcmeOptions, acme, type ManagerSeams } from '@sluice/acme'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { acmeFolder, acmeSite } from '../kit/acme-site.js'
import { handTimers } from '../kit/hand-timers.js'
import { owner } from '../kit/owner.js'
import { hasPebble, type Pebble, pebble } from '../kit/pebble.js'
import { type Program, program } from '../kit/program.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

const events: AcmeEvent[] = []
const note = (event: unknown): void => void events.push(event as AcmeEvent)
const kinds = (): string[] => events.map(({ kind }) => kind)
const named = <K extends AcmeEvent['kind']>(kind: K) =>
  events.filter((event): event is Extract<AcmeEvent, { kind: K }> => event.kind === kind)

describe.skipIf(skipUnless(hasPebble, 'pebble is not installed'))('acme on pebble', () => {
  trapUnhandled()
  const own = owner()
  let server: Pebble
  beforeAll(async () => {
    server = await pebble({ nonceReject: 20 })
  })
  afterAll(() => server.close())
  beforeEach(() => {
    events.length = 0
    subscribe('sluice:acme', note)
  })
  afterEach(() => void unsubscribe('sluice:acme', note))

  const made = (options: Partial<AcmeOptions>, seams: Partial<ManagerSeams> = {}, at = server) =>
    own(acme({ directory: at.directory, ca: at.ca, agreeToTerms: true, ...options }, '', seams))
  const served = async (one: ReturnType<typeof made>, at = server) => own(await acmeSite(one, at))

  it.each(['http-01', 'tls-alpn-01'] as const)('gets and serves a certificate by %s', async (challenge) => {
    const folder = own(acmeFolder())
    const one = made({ domains: [['a.test', 'b.test']], storage: folder.path, challenges: [challenge] })
    const site = await served(one)
    expect(await site.served('a.test')).toBeUndefined()
    await one.start()
    expect(kinds()).toEqual(['ordering', 'issued'])
    expect((await site.served('b.test'))?.subjectAltName).toBe('DNS:a.test, DNS:b.test')
    expect(await site.served('c.test')).toBeUndefined()
    expect(await one.get('a.test')).toBe(await one.get('A.test'))
    // Another start finds it.
    const other = made({ domains: [['a.test', 'b.test']], storage: folder.path, challenges: [challenge] })
    expect(await other.get('a.test')).toEqual(await one.get('a.test'))
    await other.start()
    expect(kinds().slice(2)).toEqual(['loaded'])
    const files = await readdir(folder.path, { recursive: true, withFileTypes: true })
    for (const file of files)
      expect(statSync(join(file.parentPath, file.name)).mode & 0o777).toBe(file.isDirectory() ? 0o700 : 0o600)
    expect(
      files
        .filter((file) => file.isFile())
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['account.json', 'ecdsa.json', 'history.json'])
  })

  it('gets a wildcard and its name by DNS-01, and takes the records away', async () => {
    const folder = own(acmeFolder())
    const records: string[] = []
    const removed: string[] = []
    const one = made({
      domains: [['*.w.test', 'w.test']],
      storage: folder.path,
      keyType: 'both',
      dns: {
        wait: 0,
        set: async (name, value) => {
          records.push(`${name} ${value}`)
          await server.setTxt(name, value)
        },
        remove: async (name, value) => {
          removed.push(`${name} ${value}`)
          await server.clearTxt(name)
        },
      },
    })
    await one.start()
    expect(kinds()).toEqual(['ordering', 'issued', 'ordering', 'issued'])
    // Two of each order, but that pebble may take up in the second what the first has shown, though it is told not to: seen once.
    expect(records.length).toBeGreaterThanOrEqual(2)
    expect(records.length).toBeLessThanOrEqual(4)
    expect(new Set(records).size).toBe(records.length)
    for (const record of records) expect(record).toMatch(/^_acme-challenge\.w\.test /)
    expect(removed.sort()).toEqual(records.sort())
    const resolver = new Resolver()
    resolver.setServers([server.dns])
    await expect(resolver.resolveTxt('_acme-challenge.w.test')).rejects.toThrow()
    expect(await one.get('x.w.test')).toHaveLength(2)
    expect(await one.get('x.y.w.test')).toBeUndefined()
    expect(await one.get('w.test')).toEqual(await one.get('x.w.test'))
  })

  it('gives up a challenge that fails, says so, and tries the other one after a minute', async () => {
    const folder = own(acmeFolder())
    const timers = handTimers()
    let now = Date.now()
    const one = made(
      { domains: ['b.test'], storage: folder.path },
      { after: timers.after, now: () => now, random: () => 0 },
    )
    const site = await served(one)
    // Nobody answers there.
    await site.closeTls()
    await one.start()
    expect(named('failed')[0]?.problem).toMatch(/^b.test by tls-alpn-01: .*Failed to connect/)
    await timers.next(60_000)
    now += 60_000
    await timers.fire(60_000)
    await until(() => kinds().includes('issued'), 'a certificate')
    const [info] = one.certificates()
    expect(info).toMatchObject({ names: ['b.test'], failures: 0, onDemand: false })
  })

  it('renews when it is time, and tells whoever serves', async () => {
    const folder = own(acmeFolder())
    const timers = handTimers()
    let ahead = 0
    const one = made(
      { domains: ['c.test'], storage: folder.path, challenges: ['http-01'] },
      { after: timers.after, now: () => Date.now() + ahead },
    )
    await served(one)
    await one.start()
    const before = await one.get('c.test')
    const told: unknown[] = []
    const watch = one.watch((names) => told.push(names))
    const { notAfter = 0 } = one.certificates()[0] ?? {}
    ahead = notAfter - Date.now() - 3_600_000
    await until(async () => {
      if (timers.waits.length === 1) await timers.fire()
      return kinds().filter((kind) => kind === 'issued').length === 2
    }, 'a renewal')
    expect(told).toEqual([['c.test']])
    expect(await one.get('c.test')).not.toEqual(before)
    watch[Symbol.dispose]()
  })

  it('binds its account where the authority wants that', async () => {
    const hmacKey = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W'
    const strict = own(await pebble({ eab: { 'kid-1': hmacKey }, strict: true, alwaysValid: true }))
    const folder = own(acmeFolder())
    const without = made({ domains: ['d.test'], storage: own(acmeFolder()).path }, {}, strict)
    await without.start()
    expect(named('failed')[0]?.problem).toMatch(/eab/)
    const one = made(
      { domains: ['d.test'], storage: folder.path, eab: { kid: 'kid-1', hmacKey }, email: 'a@d.test' },
      {},
      strict,
    )
    await one.start()
    expect(await one.get('d.test')).toHaveLength(1)
  })

  it('makes its account anew at an authority that has forgotten it, and tells', async () => {
    const other = own(await pebble({ alwaysValid: true }))
    const folder = own(acmeFolder())
    let ahead = 0
    const timers = handTimers()
    const one = made(
      { domains: ['e.test'], storage: folder.path },
      { after: timers.after, now: () => Date.now() + ahead },
      other,
    )
    await one.start()
    await other.kill()
    await other.start()
    const { notAfter = 0 } = one.certificates()[0] ?? {}
    ahead = notAfter - Date.now() - 3_600_000
    await until(async () => {
      if (timers.waits.length === 1) await timers.fire()
      return kinds().filter((kind) => kind === 'issued').length === 2
    }, 'a renewal')
    expect(kinds()).toContain('account-lost')
  })

  it('revokes what is to be, and has another at once; gives its account another key', async () => {
    const folder = own(acmeFolder())
    const one = made({ domains: ['f.test'], storage: folder.path, challenges: ['http-01'] })
    await served(one)
    await one.start()
    const [first] = (await one.get('f.test')) ?? []
    await one.rollover()
    await one.revoke('f.test', 1)
    await until(() => kinds().filter((kind) => kind === 'issued').length === 2, 'another certificate')
    const { serialNumber } = new X509Certificate(first?.cert ?? '')
    expect(await server.status(serialNumber)).toMatchObject({ Status: 'Revoked', Reason: 1 })
    expect(await one.get('f.test')).not.toEqual([first])
    expect(kinds()).toEqual(['ordering', 'issued', 'account-rolled-over', 'revoked', 'ordering', 'issued'])
    await expect(one.revoke('nobody.test')).rejects.toThrow('there is no certificate of nobody.test')
  })

  it('gets a certificate while a client waits, for names that are allowed', async () => {
    const folder = own(acmeFolder())
    const asked: string[] = []
    const one = made({
      storage: folder.path,
      onDemand: {
        allow: (name) => {
          asked.push(name)
          return name.endsWith('.shop.test')
        },
      },
    })
    const site = await served(one)
    const all = await Promise.all([1, 2, 3].map(() => site.served('one.shop.test')))
    expect(all.map((each) => each?.subjectAltName)).toEqual(Array(3).fill('DNS:one.shop.test'))
    expect(await site.served('evil.test')).toBeUndefined()
    expect(await site.served('evil.test')).toBeUndefined()
    expect(asked).toEqual(['one.shop.test', 'evil.test'])
    expect(named('issued').map(({ names }) => names)).toEqual([['one.shop.test']])
    // Stored ones are served without a question.
    const other = made({ storage: folder.path, onDemand: { allow: () => false } })
    expect(await other.get('one.shop.test')).toEqual(await one.get('one.shop.test'))
  })

  const script = fileURLToPath(new URL('acme-process.mjs', import.meta.url))
  const started = (options: object): Program =>
    own(program([script, JSON.stringify({ directory: server.directory, ca: String(server.ca), ...options })]))
  /** What a process has said. */
  const said = ({ output }: Program): { kind: string; pairs?: unknown; resumed?: boolean }[] =>
    output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))

  it.each([2, 5])(
    'is issued once for %i processes that share a folder; another one answers',
    async (count) => {
      const folder = own(acmeFolder())
      const options = { domains: [[`p${count}.test`]], storage: folder.path, challenges: ['http-01'] }
      // Answers what others have put up, and orders nothing itself.
      await served(made(options as Partial<AcmeOptions>))
      const all = Array.from({ length: count }, () => started(options))
      await Promise.all(all.map((each) => each.says(/"started".*\n/)))
      const events = all.flatMap(said)
      expect(events.filter(({ kind }) => kind === 'issued')).toHaveLength(1)
      const pairs = events.filter(({ kind }) => kind === 'started').map((each) => JSON.stringify(each.pairs))
      expect(pairs).toHaveLength(count)
      expect(new Set(pairs).size).toBe(1)
    },
  )

  it('is gone on with by another process when one is killed in the middle, and leaves no record behind', async () => {
    const folder = own(acmeFolder())
    const records = new Set<string>()
    const calls: string[] = []
    const zone = own(
      createServer(async (req, res) => {
        const { name, value } = JSON.parse(String(await new Response(req as never).text()))
        calls.push(req.url ?? '')
        if (req.url === '/set') await server.setTxt(name, value)
        else await server.clearTxt(name)
        records[req.url === '/set' ? 'add' : 'delete'](`${name} ${value}`)
        res.end()
      }).listen(0, '127.0.0.1'),
    )
    await once(zone, 'listening')
    const at = `http://127.0.0.1:${(zone.address() as AddressInfo).port}`
    const options = { domains: [['*.k.test']], storage: folder.path, seams: { lease: 500 } }
    const killed = started({ ...options, dns: { at, wait: 600_000 } })
    await until(() => records.size === 1, 'a record')
    killed.signalGroup('SIGKILL')
    await killed.ended
    const next = started({ ...options, dns: { at, wait: 0 } })
    await next.says(/"started".*\n/)
    expect(said(next).find(({ kind }) => kind === 'ordering')?.resumed).toBe(true)
    expect(said(next).map(({ kind }) => kind)).toEqual(['ordering', 'issued', 'started'])
    expect(calls).toEqual(['/set', '/remove', '/set', '/remove'])
    expect([...records]).toEqual([])
  })
})
