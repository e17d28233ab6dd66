import { constants } from 'node:crypto'
import { createSecureContext, type SecureVersion } from 'node:tls'

/** The name of a preset. */
export type PresetName = 'intermediate' | 'modern'

/** Options of a server of Node's that make its TLS safe. */
export interface Preset {
  readonly minVersion: SecureVersion
  readonly ciphers: string
  /** Groups for the exchange of keys, the best first. */
  readonly ecdhCurve: string
  /** `false`: all of them are strong, and a client knows which of them its hardware is fast at. */
  readonly honorCipherOrder: false
  /** No renegotiation: it has been a hole (CVE-2009-3555) and a lever for load, and TLS 1.3 has none. */
  readonly secureOptions: number
  /** A client that opens a connection and says nothing is gone after so many ms. */
  readonly handshakeTimeout: number
}

const suites = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']
const ciphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
]
const hybrid = 'X25519MLKEM768'
const curves = ['X25519', 'prime256v1', 'secp384r1']

/**
 * What Mozilla's guidelines of server-side TLS say, version 6.0 of 2026 (since then kept at https://docs.tlsref.org), in Node's words:
 * - `intermediate`: TLS 1.2 and 1.3, for clients of the last ten years, the default;
 * - `modern`: TLS 1.3 alone.
 *
 * Both exchange keys by X25519MLKEM768 first, which a quantum computer won't open, where Node's OpenSSL is 3.5 or newer (Node 22.20
 * and newer). They go into `https.createServer`, `http2.createSecureServer` or `tls.createServer` as they are, beside certificates.
 */
export const presets: Readonly<Record<PresetName, Preset>> = {
  get intermediate() {
    return presetOf('TLSv1.2', [...suites, ...ciphers])
  },
  get modern() {
    return presetOf('TLSv1.3', suites)
  },
}

function presetOf(minVersion: SecureVersion, names: readonly string[]): Preset {
  return {
    minVersion,
    ciphers: names.join(':'),
    ecdhCurve: (hasGroup(hybrid) ? [hybrid, ...curves] : curves).join(':'),
    honorCipherOrder: false,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    handshakeTimeout: 10_000,
  }
}

function hasGroup(ecdhCurve: string): boolean {
  try {
    // Without authorities of its own a context would parse all that come with Node.
    createSecureContext({ ecdhCurve, ca: [] })
    return true
  } catch {
    return false
  }
}
