import { constants } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { type PresetName, presets } from './presets.js'

/** OpenSSL has the hybrid group since 3.5. */
const [major = 0, minor = 0] = process.versions.openssl.split('.').map(Number)
const hasHybrid = major > 3 || (major === 3 && minor >= 5)

describe('presets', () => {
  it.each<PresetName>(['intermediate', 'modern'])('%s is taken by this OpenSSL', (name) => {
    const { handshakeTimeout: _, ...settings } = presets[name]
    expect(() => createSecureContext(settings)).not.toThrow()
  })

  it('follow version 6.0 of the guidelines', () => {
    const curves = `${hasHybrid ? 'X25519MLKEM768:' : ''}X25519:prime256v1:secp384r1`
    const common = {
      ecdhCurve: curves,
      honorCipherOrder: false,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      handshakeTimeout: 10_000,
    }
    const suites = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'
    expect(presets.modern).toEqual({ ...common, minVersion: 'TLSv1.3', ciphers: suites })
    expect(presets.intermediate).toEqual({
      ...common,
      minVersion: 'TLSv1.2',
      ciphers: `${suites}:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305`,
    })
  })
})
