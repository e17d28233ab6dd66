import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestCertificate {
  readonly cert: Buffer
  readonly key: Buffer
}

let made: TestCertificate | undefined
let tried = false

/** A self-signed certificate for localhost, 127.0.0.1 and ::1, made anew for this process; undefined without `openssl`. */
export function testCertificate(): TestCertificate | undefined {
  if (tried) return made
  tried = true
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1']
    execFileSync('openssl', ['req', '-x509', ...what, ...names, '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    })
    made = { key: readFileSync(key), cert: readFileSync(cert) }
  } catch {
    made = undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return made
}
