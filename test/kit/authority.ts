import { execFileSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestCertificate } from './certificate.js'

/** An authority of the tests, which nobody trusts unless told to. */
export interface Authority {
  readonly cert: Buffer
  /** A certificate for these names, as OpenSSL writes them: `DNS:a.test`, `IP:127.0.0.1`. */
  issue(...names: readonly string[]): TestCertificate
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Makes an authority; undefined without `openssl`. */
export function testAuthority(): Authority | undefined {
  try {
    const { cert, key } = inFolder((folder) => {
      openssl('req', '-x509', ...curve, '-days', '2', '-subj', '/CN=Test Authority', ...pair(folder))
      return read(folder)
    })
    return { cert, issue: (...names) => inFolder((folder) => issue(folder, { cert, key }, names)) }
  } catch {
    return undefined
  }
}

/** The pin of a certificate's key. */
export function pinOf(certificate: Buffer): string {
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })
  return `sha256/${createHash('sha256').update(spki).digest('base64')}`
}

function issue(folder: string, authority: TestCertificate, names: readonly string[]): TestCertificate {
  const at = (name: string): string => join(folder, name)
  writeFileSync(at('ca.pem'), authority.cert)
  writeFileSync(at('ca-key.pem'), authority.key)
  writeFileSync(at('names'), `subjectAltName=${names.join(',')}\n`)
  openssl('req', '-new', ...curve, '-subj', '/CN=test', '-keyout', at('key.pem'), '-out', at('request.pem'))
  const signing = ['-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-CAcreateserial', '-days', '2']
  const what = ['-in', at('request.pem'), '-extfile', at('names'), '-out', at('cert.pem')]
  openssl('x509', '-req', ...signing, ...what)
  return read(folder)
}

function inFolder<T>(fn: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  try {
    return fn(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function pair(folder: string): string[] {
  return ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
}

function read(folder: string): TestCertificate {
  return { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) }
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' })
}
