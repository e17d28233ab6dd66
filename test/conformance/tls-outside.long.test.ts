import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import { certificates, type ServerTlsOptions, serverTls, ticketKeys } from '@sluice/tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { owner } from '../kit/owner.js'
import { program } from '../kit/program.js'
import { revocationList } from '../kit/revocation-list.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { type X509Issuer, type X509Pair, x509Root } from '../kit/x509.js'

trapUnhandled()
const own = owner()
const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string): string => join(folder, name)

interface Result {
  readonly code: number | string
  /** What it wrote, to both. */
  readonly output: string
}

/** A program from outside, with nothing to read. */
function run(name: string, ...args: readonly string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(name, args, { maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? error?.signal ?? 0, output: stdout + stderr }),
    )
    child.stdin?.end()
  })
}

const there = async (name: string): Promise<boolean> => (await run(name, '--version')).code !== 'ENOENT'
const has = Object.fromEntries(
  await Promise.all(
    ['openssl', 'testssl', 'sslscan', 'nghttp', 'curl'].map(
      async (name) => [name, await there(name)] as const,
    ),
  ),
)
const without = (name: string): boolean => skipUnless(has[name], `no ${name}`)

const hour = 3_600_000
let root: X509Issuer
let clients: X509Issuer
let pair: X509Pair

beforeAll(async () => {
  root = await x509Root()
  clients = await x509Root({ commonName: 'Clients' })
  pair = await root.issue({ names: ['localhost', '127.0.0.1'] })
  writeFileSync(at('ca.pem'), root.cert)
  writeFileSync(at('cert.pem'), pair.chain)
  writeFileSync(at('key.pem'), pair.key)
  const made = {
    good: await clients.issue({ commonName: 'good' }),
    revoked: await clients.issue({ commonName: 'revoked', notBefore: Date.now() - hour }),
    expired: await clients.issue({
      commonName: 'expired',
      notBefore: Date.now() - 2 * hour,
      notAfter: Date.now() - hour,
    }),
    strange: await root.issue({ commonName: 'strange' }),
  }
  for (const [name, { chain, key }] of Object.entries(made)) writeFileSync(at(`${name}.pem`), chain + key)
  writeFileSync(at('crl.pem'), await revocationList(clients, [made.revoked.serialNumber]))
})

async function listening<T extends Server | Http2SecureServer>(server: T): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({ close: () => server.close() })
  return (server.address() as AddressInfo).port
}

/** HTTP/1.1 and HTTP/2 over TLS, with all that isn't said at its default. Says who the client is. */
function siteServer(options: Partial<ServerTlsOptions> = {}): Http2SecureServer {
  const tls = serverTls({
    certificates: certificates({ certFile: at('cert.pem'), keyFile: at('key.pem') }),
    http2: true,
    ...options,
  })
  const server = createSecureServer(tls.options, (req, res) => {
    const { authorized } = req.socket as { authorized?: boolean }
    res.end(`HTTP/${req.httpVersion}, ${authorized === true ? 'known' : 'unknown'}\n`)
  })
  tls.attach(server)
  return server
}

const site = (options?: Partial<ServerTlsOptions>): Promise<number> => listening(siteServer(options))

/** Clients that open TLS and say nothing, until they are ended. That takes ten seconds: it begins before everything else. */
let silent: Promise<unknown>
const silentServers: (Server | Http2SecureServer)[] = []

beforeAll(async () => {
  const tls = serverTls({
    certificates: certificates({ certFile: at('cert.pem'), keyFile: at('key.pem') }),
  })
  const bare = createServer(tls.options)
  tls.attach(bare)
  silentServers.push(siteServer(), bare)
  for (const server of silentServers) await once(server.listen(0, '127.0.0.1'), 'listening')
  // Nothing at all, and the head of a record whose rest never comes.
  const begun = silentServers.flatMap((server) =>
    [Buffer.alloc(0), Buffer.from([22, 3, 1, 2, 0])].map(async (bytes) => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(bytes)
      socket.resume()
      await once(socket, 'close')
    }),
  )
  silent = Promise.all(begun)
})

afterAll(() => {
  for (const server of silentServers) server.close()
})

const weak = [
  'NULL',
  'aNULL',
  'EXPORT',
  'LOW',
  '3DES',
  'RC4',
  'kRSA',
  'DHE',
  'PSK',
  'SHA1',
  'ARIA',
  'CAMELLIA',
]

describe.skipIf(without('openssl'))('openssl s_client', () => {
  const client = (port: number, ...args: readonly string[]): Promise<Result> =>
    run('openssl', 's_client', '-connect', `127.0.0.1:${port}`, '-servername', 'localhost', ...args)

  it('gets no version before 1.2, and no weak cipher', async () => {
    const port = await site()
    const anything = ['-cipher', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0']
    for (const version of ['-tls1', '-tls1_1'])
      expect((await client(port, version, ...anything)).output, version).toContain('Cipher is (NONE)')
    for (const cipher of weak) {
      const { output } = await client(port, '-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`)
      expect(output, cipher).not.toMatch(/Cipher is (?!\(NONE\))/)
    }
    expect((await client(port, '-tls1_2')).output).toMatch(/Cipher is ECDHE-ECDSA-\S+(GCM|POLY1305)/)
  })

  it('gets nothing but TLS 1.3 with the modern preset', async () => {
    const port = await site({ preset: 'modern' })
    expect((await client(port, '-tls1_2')).output).toContain('Cipher is (NONE)')
    expect((await client(port)).output).toMatch(/Cipher is TLS_/)
  })

  it('gets no weak curve, and no signature by SHA-1', async () => {
    const port = await site()
    for (const curve of ['secp224r1', 'sect283k1', 'secp256k1', 'brainpoolP256r1', 'secp521r1', 'X448'])
      expect((await client(port, '-groups', curve)).output, curve).not.toMatch(/Cipher is (?!\(NONE\))/)
    for (const version of ['-tls1_2', '-tls1_3']) {
      const sha1 = ['-sigalgs', 'ECDSA+SHA1:RSA+SHA1', '-cipher', 'ALL:@SECLEVEL=0']
      expect((await client(port, version, ...sha1)).output, version).not.toMatch(/Cipher is (?!\(NONE\))/)
    }
  })

  describe.each(['-tls1_2', '-tls1_3'])('resumes with %s', (version) => {
    it('for two hours, and for five minutes where clients have certificates', async () => {
      const hint = async (port: number): Promise<string | undefined> =>
        /lifetime hint: (\d+)/.exec((await client(port, version, '-ign_eof')).output)?.[1]
      expect(await hint(await site({ http2: false }))).toBe('7200')
      expect(await hint(await site({ http2: false, client: 'optional', ca: clients.cert }))).toBe('300')
    })

    it('across two processes, over a rotation, and not for longer', async () => {
      const secret = 'a secret that two processes share, long'
      const script = join(import.meta.dirname, 'ticket-server.mjs')
      const servers = ['one', 'other'].map((name) => own(program([script, folder, secret, name])))
      const ports = await Promise.all(
        servers.map(async (each) => Number((await each.says(/port: (\d+)/))[1])),
      )
      const [one, other] = ports as [number, number]
      const visit = async (port: number, ...args: readonly string[]): Promise<string> => {
        const { output } = await client(port, version, '-ign_eof', '-CAfile', at('ca.pem'), ...args)
        expect(output).toContain('served')
        return /^(New|Reused), /m.exec(output)?.[1] ?? output
      }
      expect(await visit(one, '-sess_out', at('session'))).toBe('New')
      expect(await visit(other, '-sess_in', at('session'))).toBe('Reused')
      for (const each of servers) each.child.kill('SIGUSR2')
      await Promise.all(servers.map((each) => each.says(/rotated/)))
      expect(await visit(one, '-sess_in', at('session'))).toBe('Reused')
      expect(await visit(other, '-sess_in', at('session'))).toBe('Reused')
      for (const each of servers) each.child.kill('SIGUSR2')
      await Promise.all(servers.map((each) => each.says(/rotated[\s\S]*rotated/)))
      expect(await visit(one, '-sess_in', at('session'))).toBe('New')
    })
  })
})

describe.skipIf(without('testssl'))('testssl', () => {
  it('finds no weak protocol, cipher or curve, and no vulnerability', async () => {
    const port = await site()
    const quiet = ['--quiet', '--color', '0', '--warnings', 'off', '--openssl-timeout', '10', '--ip', 'one']
    interface Finding {
      readonly id: string
      readonly severity: string
      readonly finding: string
    }
    // What it offers, and what it is vulnerable to, at once: it takes one thing after the other.
    const groups = [['-p', '-s', '-f'], ['-U']].map(async (checks, i) => {
      const file = at(`testssl${i}.json`)
      const { output } = await run('testssl', ...checks, ...quiet, '--jsonfile', file, `localhost:${port}`)
      return { output, findings: JSON.parse(readFileSync(file, 'utf8')) as Finding[] }
    })
    const results = await Promise.all(groups)
    const output = results.map((result) => result.output).join('\n')
    const findings = results.flatMap((result) => result.findings)
    const ids = findings.map(({ id }) => id)
    // It has looked at them. Newer versions write FS for PFS.
    for (const id of [/^SSLv3$/, /^TLS1_3$/, /^cipherlist_/, /^P?FS_ECDHE_curves$/, /^ROBOT$/, /^RC4$/])
      expect(
        ids.some((each) => id.test(each)),
        `${id} in ${output}`,
      ).toBe(true)
    const bad = findings.filter(({ severity }) => !['OK', 'INFO'].includes(severity))
    // About its own OpenSSL, which has no GOST.
    expect(bad.filter(({ id }) => id !== 'engine_problem')).toEqual([])
  })
})

describe.skipIf(without('sslscan'))('sslscan', () => {
  it('finds TLS 1.2 and 1.3 alone, with strong ciphers and curves', async () => {
    const port = await site()
    const { output } = await run(
      'sslscan',
      '--no-colour',
      '--xml=-',
      '--sni-name=localhost',
      `127.0.0.1:${port}`,
    )
    const all = (pattern: RegExp): string[] => [...output.matchAll(pattern)].map(([, found = '']) => found)
    const versions = all(/<protocol type="\w+" version="([\d.]+)" enabled="1"/g)
    expect(versions, output).toEqual(['1.2', '1.3'])
    const ciphers = all(/ cipher="([^"]+)"/g)
    expect(ciphers.length).toBeGreaterThanOrEqual(6)
    expect(ciphers.filter((name) => !/^TLS_(AES|CHACHA20)|^ECDHE-.*(GCM|POLY1305)/.test(name))).toEqual([])
    expect(new Set(all(/<group [^>]*name="(\w+)/g))).toEqual(new Set(['secp256r1', 'secp384r1', 'x25519']))
    expect(output).toContain('<renegotiation supported="0"')
    expect(output).not.toContain('vulnerable="1"')
  })
})

describe.skipIf(without('nghttp'))('nghttp', () => {
  it('gets HTTP/2 by ALPN', async () => {
    const { code, output } = await run(
      'nghttp',
      '-v',
      '--no-verify-peer',
      `https://localhost:${await site()}/`,
    )
    expect(code, output).toBe(0)
    expect(output).toMatch(/negotiated protocol: h2[\s\S]*:status: 200[\s\S]*HTTP\/2\.0, unknown/)
  })
})

describe.skipIf(without('curl'))('curl', () => {
  const curl = (port: number, ...args: readonly string[]): Promise<Result> =>
    run('curl', '-sS', '--cacert', at('ca.pem'), ...args, `https://localhost:${port}/`)

  it('gets HTTP/2 where it wants it, and HTTP/1.1', async () => {
    const port = await site()
    expect((await curl(port, '--http2')).output).toBe('HTTP/2.0, unknown\n')
    expect((await curl(port, '--http1.1')).output).toBe('HTTP/1.1, unknown\n')
  })

  it.each(['--tls-max=1.2', '--tls-max=1.3'])(
    'gets in with a good certificate alone, %s',
    async (version) => {
      const authorities = { ca: clients.cert, crl: readFileSync(at('crl.pem')) }
      const required = await site({ client: 'required', ...authorities })
      const optional = await site({ client: 'optional', ...authorities })
      const max = version.split('=')
      expect((await curl(required, ...max, '--cert', at('good.pem'))).output).toBe('HTTP/2.0, known\n')
      expect((await curl(optional, ...max, '--cert', at('good.pem'))).output).toBe('HTTP/2.0, known\n')
      const none = await curl(required, ...max)
      expect(none.code, none.output).not.toBe(0)
      for (const name of ['revoked', 'expired', 'strange']) {
        const { code, output } = await curl(required, ...max, '--cert', at(`${name}.pem`))
        expect(code, `${name}: ${output}`).not.toBe(0)
        expect((await curl(optional, ...max, '--cert', at(`${name}.pem`))).output, name).toBe(
          'HTTP/2.0, unknown\n',
        )
      }
    },
  )
})

describe('a client that opens TLS and says nothing', () => {
  it('is ended, by any server', () => silent)
})

interface NativeContext {
  onticketkeycallback(name: Buffer, iv: Buffer, sealing: boolean): [number, Buffer, Buffer, Buffer]
}

describe('what tickets cost', () => {
  it('is said here', () => {
    const server = createServer({ cert: pair.chain, key: pair.key })
    ticketKeys().attach(server)
    const { context } = (server as unknown as { _sharedCreds: { context: NativeContext } })._sharedCreds
    const callback = context.onticketkeycallback
    const iv = Buffer.alloc(16)
    const [, , , name] = callback(iv, iv, true)
    const rounds = 100_000
    for (const sealing of [true, false]) {
      const before = process.cpuUsage()
      for (let i = 0; i < rounds; i++) callback(name, iv, sealing)
      const { user, system } = process.cpuUsage(before)
      const each = (((user + system) * 1_000) / rounds).toFixed(0)
      console.log(`a ticket ${sealing ? 'sealed' : 'opened'}: ${each} ns of CPU in the callback`)
    }
  })
})
