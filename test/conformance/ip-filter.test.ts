import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type Context, onError, type ProxyError, toListener } from '@sluice/core'
import { type IpFilterOptions, ipFilter, ipList } from '@sluice/guard'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { fronts, twoFronts } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** A front whose clients are who `X-Forwarded-For` says, with the reasons that its log would tell. */
async function started(kind: (typeof fronts)[number], options: IpFilterOptions) {
  const origin = own(await originServer())
  const reasons: (string | undefined)[] = []
  const filter = ipFilter(options)
  own({ close: () => filter[Symbol.dispose]() })
  const hears = onError<Context & Client>(({ reason }: ProxyError) => {
    reasons.push(reason)
    return undefined
  })
  const front = own(
    await kind.start({ targets: origin.url, trust: ['127.0.0.0/8', '::1'], use: [hears, filter] }),
  )
  const from = async (address: string): Promise<number> =>
    (await front.client.ask({ headers: ['X-Forwarded-For', address] })).status
  return { front, from, origin, reasons }
}

describe.each(fronts)('ipFilter through $name', (kind) => {
  it('lets those pass that are allowed and not denied, and tells the others nothing', async () => {
    const allow = ['192.0.2.0/24', '2001:db8::/32', '127.0.0.1', '::1']
    const { front, from, origin, reasons } = await started(kind, {
      allow,
      deny: ['192.0.2.128/25', '2001:db8::bad'],
    })
    expect(await from('192.0.2.1')).toBe(200)
    expect(await from('2001:db8::1')).toBe(200)
    expect(await from('64:ff9b::192.0.2.1')).toBe(200)
    expect(await from('192.0.2.200')).toBe(403)
    expect(await from('::ffff:192.0.2.200')).toBe(403)
    expect(await from('64:ff9b::c000:2c8')).toBe(403)
    expect(await from('2001:db8::bad')).toBe(403)
    expect(await from('198.51.100.1')).toBe(403)
    expect(origin.requests).toHaveLength(3)
    expect(reasons).toEqual([...Array<string>(4).fill('ip-denied'), 'ip-not-allowed'])
    const refused = await front.client.ask({
      headers: ['X-Forwarded-For', '198.51.100.1'],
      method: 'POST',
      body: 'x',
    })
    expect([refused.status, refused.text]).toEqual([403, '403 Forbidden\n'])
  })
})

describe.each(twoFronts)('ipFilter through $name', (kind) => {
  it('refuses upgrades as it does requests', async () => {
    const { front, reasons } = await started(kind, { deny: ['127.0.0.1'] })
    const status = await new Promise((resolve, reject) => {
      const headers = {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      }
      request({ port: front.port, headers }, (res) => resolve(res.resume().statusCode))
        .on('upgrade', () => reject(new Error('upgraded')))
        .on('error', reject)
        .end()
    })
    expect([status, reasons]).toEqual([403, ['ip-denied']])
  })

  it('lets nobody pass whose list has not come yet', async () => {
    const coming = deferred<string[]>()
    const { from, reasons } = await started(kind, { deny: { load: () => coming.promise } })
    expect(await from('192.0.2.1')).toBe(403)
    expect(reasons).toEqual(['ip-list-missing'])
    coming.resolve(['192.0.2.2'])
    await until(async () => (await from('192.0.2.1')) === 200, 'the list')
    expect(await from('192.0.2.2')).toBe(403)
  })

  it('goes by a file as it is now', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-ip-'))
    own({ close: () => rmSync(folder, { recursive: true, force: true }) })
    const file = join(folder, 'denied.txt')
    writeFileSync(file, '192.0.2.1\n')
    const { from } = await started(kind, { deny: { file } })
    expect([await from('192.0.2.1'), await from('192.0.2.2')]).toEqual([403, 200])
    writeFileSync(`${file}.new`, '192.0.2.2\n')
    renameSync(`${file}.new`, file)
    await until(async () => (await from('192.0.2.1')) === 200, 'the new list')
    expect(await from('192.0.2.2')).toBe(403)
  })

  it('takes any set, and leaves the lists of others alone', async () => {
    const list = ipList(['192.0.2.0/24'])
    const { from } = await started(kind, {
      allow: list,
      deny: { size: 1, has: (each) => each === '192.0.2.9' },
    })
    expect([await from('192.0.2.1'), await from('192.0.2.9'), await from('10.0.0.1')]).toEqual([
      200, 403, 403,
    ])
  })
})

describe('ipFilter', () => {
  it('knows a client over a Unix socket by no address: no list has it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-ip-'))
    own({ close: () => rmSync(folder, { recursive: true, force: true }) })
    const origin = own(await originServer())
    const status = async (options: IpFilterOptions, path: string): Promise<number | undefined> => {
      const proxy = own(
        createProxy({ upstreams: { default: { targets: [origin.url] } }, use: [ipFilter(options)] }),
      )
      const server = createServer(toListener(proxy.handler))
      await new Promise<void>((resolve) => server.listen(path, resolve))
      own({ close: () => server.close() })
      return new Promise((resolve, reject) => {
        request({ socketPath: path, agent: false }, (res) => resolve(res.resume().statusCode))
          .on('error', reject)
          .end()
      })
    }
    expect(await status({ deny: ['0.0.0.0/0', '::/0'] }, join(folder, 'a'))).toBe(200)
    expect(await status({ allow: ['0.0.0.0/0', '::/0'] }, join(folder, 'b'))).toBe(403)
  })

  it.each([
    [{}, 'guard.ip: got {}, takes allow, deny or both'],
    [{ alow: [] }, 'guard.ip.alow: unknown option, did you mean allow?'],
    [{ deny: 7 }, 'guard.ip.deny: got 7, takes a list of ranges'],
    [
      { deny: ['10.0.0.1/8'] },
      "guard.ip.deny[0]: got '10.0.0.1/8', takes bits behind the prefix that are 0: '10.0.0.0/8'",
    ],
    [{ allow: { file: '/no/such/file' } }, 'guard.ip.allow.file: got'],
    [{ allow: [], deny: { load: 7 } }, 'guard.ip.deny.load: got 7, takes a function'],
  ])('refuses %j at once', (options, message) => {
    expect(() => ipFilter(options as never, 'guard.ip')).toThrow(message)
  })
})
