import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { which } from './which.mjs'

/**
 * Makes a self-signed certificate for 127.0.0.1. No file of it stays.
 * @returns `{ key, cert }` as PEM
 * @throws Error if openssl isn't installed
 */
export function makeCertificate() {
  const openssl = which('openssl')
  if (openssl === undefined) throw new Error("openssl isn't installed: it makes the certificate")
  const folder = mkdtempSync(join(tmpdir(), 'bench-certificate-'))
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    execFileSync(openssl, ['req', '-x509', ...what, ...names, '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    })
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
