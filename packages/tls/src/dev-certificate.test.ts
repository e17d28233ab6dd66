import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { issueDevCertificate } from './dev-authority.js'
import { type DevCertificate, devCertificate } from './index.js'
import type { PemPair } from './pem-files.js'
import { permits, permittedNames } from './permitted-names.js'
import { stateFolder } from './state-folder.js'

const own = owner()
const day = 86_400_000
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const inDays =
  (days: number): (() => number) =>
  () =>
    Date.now() + days * day
const modeOf = (name: string): number => statSync(join(folder, name)).mode & 0o777
const authority = (): PemPair => {
  const text = readFileSync(join(folder, 'authority.pem'), 'utf8')
  return { cert: text, key: text.slice(text.indexOf('-----BEGIN PRIVATE KEY')) }
}

/** What a client that trusts the authority alone says of a server with this certificate: nothing, or its error. */
async function judged(pair: PemPair, ca: string, servername: string): Promise<string | undefined> {
  const server = createServer(pair)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  own({ close: async () => void server.close() })
  const { port } = server.address() as AddressInfo
  return new Promise((resolve) => {
    const name = /^[\d.:]+$/.test(servername) ? { host: servername } : { servername }
    const socket = connect({ port, ca, ...name }, () => {
      resolve(undefined)
      socket.destroy()
    })
    socket.on('error', (error) => resolve(error.message))
  })
}

describe('devCertificate', () => {
  it('gives a certificate that is good for whoever trusts its authority', async () => {
    const made = await devCertificate({ folder, names: ['app.localhost', 'dev.test', '*.dev.test'] })
    expect(readFileSync(made.caFile, 'utf8')).toBe(made.ca)
    for (const name of ['localhost', '127.0.0.1', 'app.localhost', 'dev.test', 'x.dev.test'])
      expect([name, await judged(made, made.ca, name)]).toEqual([name, undefined])
    expect(await judged(made, made.ca, 'other.test')).toContain('does not match')
    const { subjectAltName } = new X509Certificate(made.cert)
    expect(subjectAltName).toContain(
      'DNS:localhost, DNS:*.localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    )
  })

  it('keeps them from other users of the machine', async () => {
    const deep = join(folder, 'a', 'b')
    await devCertificate({ folder: deep })
    expect(statSync(deep).mode & 0o777).toBe(0o700)
    expect(readdirSync(deep).sort()).toEqual(['authority.pem', 'ca.pem', 'certificate.pem'])
    folder = join(folder, 'a', 'b')
    expect([modeOf('authority.pem'), modeOf('certificate.pem')]).toEqual([0o600, 0o600])
    expect(readFileSync(join(folder, 'ca.pem'), 'utf8')).not.toContain('PRIVATE')
  })

  it('gives what is there', async () => {
    const made = await devCertificate({ folder })
    expect(await devCertificate({ folder })).toEqual(made)
    expect(await devCertificate({ folder, names: ['LOCALHOST', '0:0::1'] })).toEqual(made)
    expect(await devCertificate({ folder, now: inDays(59) })).toEqual(made)
  })

  it('renews the certificate before its end, by the same authority', async () => {
    const made = await devCertificate({ folder })
    const later = await devCertificate({ folder, now: inDays(61) })
    expect(later.ca).toBe(made.ca)
    expect(later.cert).not.toBe(made.cert)
    expect(Date.parse(new X509Certificate(later.cert).validTo)).toBeGreaterThan(Date.now() + 150 * day)
  })

  it('renews the authority before its end, for all names that it had', async () => {
    const made = await devCertificate({ folder, names: ['a.test', '192.168.7.7'] })
    const later = await devCertificate({ folder, now: inDays(3_600) })
    expect(later.ca).not.toBe(made.ca)
    expect(new X509Certificate(later.cert).subjectAltName).toMatch(
      /192\.168\.7\.7.*DNS:a\.test|DNS:a\.test.*192\.168\.7\.7/,
    )
    const end = Date.parse(new X509Certificate(later.ca).validTo)
    expect(Date.parse(new X509Certificate(later.cert).validTo)).toBeLessThan(end)
  })

  it('does not hand out one from the future', async () => {
    const made = await devCertificate({ folder, now: inDays(10) })
    expect((await devCertificate({ folder })).ca).not.toBe(made.ca)
  })

  it('needs no new authority for names below those that it has, and one for others', async () => {
    const made = await devCertificate({ folder })
    const below = await devCertificate({ folder, names: ['app.localhost'] })
    expect([below.ca === made.ca, below.cert === made.cert]).toEqual([true, false])
    const other = await devCertificate({ folder, names: ['a.test'] })
    expect(other.ca).not.toBe(made.ca)
    // Two projects don't take it from each other.
    await devCertificate({ folder, names: ['b.test'] })
    const both = await devCertificate({ folder, names: ['a.test'] })
    expect(await devCertificate({ folder, names: ['b.test'] })).toEqual(both)
    expect(await devCertificate({ folder, names: ['app.localhost'] })).toEqual(both)
  })

  it('has an authority that certifies no other names', async () => {
    const { ca } = await devCertificate({ folder, names: ['a.test'] })
    for (const name of ['bank.example', 'nota.test', 'test', '10.0.0.1', '127.0.0.2', '::2']) {
      const pair = await issueDevCertificate(authority(), [name], Date.now())
      expect([name, await judged(pair, ca, 'a.test')]).toEqual([name, 'permitted subtree violation'])
    }
    const pair = await issueDevCertificate(authority(), ['b.a.test'], Date.now())
    expect(await judged(pair, ca, 'b.a.test')).toBeUndefined()
  })

  it.skipIf(skipUnless(hasOpenssl(), 'a check of the development authority: there is no openssl'))(
    'is well-formed to openssl, strictly',
    async () => {
      const { caFile } = await devCertificate({ folder, names: ['a.test'] })
      const file = join(folder, 'certificate.pem')
      const verify = (...args: string[]): string =>
        String(
          execFileSync('openssl', [
            'verify',
            '-x509_strict',
            '-purpose',
            'sslserver',
            '-CAfile',
            caFile,
            ...args,
          ]),
        )
      expect(verify('-verify_hostname', 'localhost', file)).toContain('OK')
      expect(verify('-verify_ip', '::1', file)).toContain('OK')
      const text = String(
        execFileSync('openssl', ['x509', '-in', caFile, '-noout', '-ext', 'nameConstraints']),
      )
      expect(text).toMatch(
        /critical\s+Permitted:\s+DNS:localhost\s+IP:127.0.0.1\/255.255.255.255\s+IP:0:0:0:0:0:0:0:1\/FFFF(:FFFF){7}\s+DNS:a.test/,
      )
    },
  )

  it('makes one authority, however many ask at once', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => devCertificate({ folder })))
    const [{ ca, caFile }] = all as [DevCertificate]
    expect(all.map((each) => each.ca === ca)).toEqual(all.map(() => true))
    expect(readFileSync(caFile, 'utf8')).toBe(ca)
    for (const each of all) expect(await judged(each, ca, 'localhost')).toBeUndefined()
    expect(readdirSync(folder)).toHaveLength(3)
  })

  it.each([
    ['authority.pem', 'empty', ''],
    ['authority.pem', 'garbage', 'garbage'],
    ['certificate.pem', 'cut', undefined],
    ['ca.pem', 'another', 'another'],
  ])('makes anew what is damaged: %s, %s', async (name, _, text) => {
    await devCertificate({ folder })
    const file = join(folder, name)
    writeFileSync(file, text ?? readFileSync(file, 'latin1').slice(0, -40))
    const made = await devCertificate({ folder })
    expect(await judged(made, readFileSync(made.caFile, 'utf8'), 'localhost')).toBeUndefined()
    expect(await devCertificate({ folder })).toEqual(made)
  })

  it("makes anew a key that doesn't fit", async () => {
    await devCertificate({ folder })
    const { key } = authority()
    const file = join(folder, 'certificate.pem')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/-----BEGIN PRIVATE[\s\S]*/, key))
    const made = await devCertificate({ folder })
    expect(await judged(made, made.ca, 'localhost')).toBeUndefined()
  })

  it('says where it could not write, and why', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    await expect(devCertificate({ folder: file })).rejects.toThrow(
      `devCertificate: can't keep a certificate in ${file}: EEXIST`,
    )
  })

  it.each([
    [{ folder: '' }, "dev.folder: got '', takes a folder's name"],
    [{ names: 'a.test' }, "dev.names: got 'a.test'"],
    [{ names: ['a.test', 'a_b', '*.*.test', 'http://a.test', 'a.test:443', '-a.test'] }, 'dev.names[1]: got'],
    [{ name: [] }, 'dev.name: unknown option, did you mean names?'],
  ])('says what is wrong with %j', async (options, says) => {
    await expect(devCertificate(options as never, 'dev')).rejects.toThrow(says)
  })
})

describe('permittedNames', () => {
  it('leaves out what stands below another', () => {
    const names = [
      'localhost',
      '*.localhost',
      'a.localhost',
      '127.0.0.1',
      '::1',
      'x.a.test',
      '*.a.test',
      'b.a.test',
    ]
    expect(permittedNames(names)).toEqual(['localhost', '127.0.0.1/32', '::1/128', 'a.test'])
    expect(permits(['a.test', '10.0.0.1/32'], permittedNames(['x.a.test', 'a.test', '10.0.0.1']))).toBe(true)
    expect(permits(['a.test'], permittedNames(['ba.test']))).toBe(false)
  })
})

describe('stateFolder', () => {
  it('is that of the XDG directories', () => {
    expect(stateFolder({ XDG_STATE_HOME: '/var/state' })).toBe('/var/state')
    const home = join(homedir(), '.local', 'state')
    for (const env of [{}, { XDG_STATE_HOME: '' }, { XDG_STATE_HOME: 'here' }])
      expect(stateFolder(env)).toBe(home)
  })
})

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
