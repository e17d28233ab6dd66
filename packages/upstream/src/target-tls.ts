import { isIP } from 'node:net'
import { type ClientIdentity, goodPair, isGood, readIdentity } from './client-identity.js'
import { makeContext } from './make-context.js'
import { isPem, kindOf, sameBytes } from './secret-value.js'

/** How to speak TLS to an `https:` target. */
export interface TargetTls {
  /**
   * The name to ask for (SNI), and to look for in the target's certificate. Default the URL's host, whatever `Host` says;
   * for an IP address none is sent (RFC 6066 section 3) and the address is looked for. `''` sends none and looks for the
   * URL's host.
   */
  servername?: string
  /** Certificates (PEM) of the authorities to trust, in place of those that come with Node. */
  ca?: string | Buffer | readonly (string | Buffer)[]
  /** The proxy's own certificate (PEM), for targets that ask for one; with the chain behind it, if there is any. */
  cert?: string | Buffer | readonly (string | Buffer)[]
  /** Its private key (PEM); of several certificates a list, in their order. */
  key?: string | Buffer | readonly (string | Buffer)[]
  /** Certificate and private key in one (PFX, PKCS #12), in place of `cert` and `key`. */
  pfx?: string | Buffer
  /** For a private key or a PFX that is encrypted. */
  passphrase?: string
  /**
   * The same, for a certificate that is replaced while it is in use; in place of `cert`, `key` and `pfx`. Once `current` is another
   * object, new connections show that one, and those made before take no more requests: what is on them ends in peace. A
   * pair that can't be used is warned of once, and the last one stays.
   */
  identity?: ClientIdentity
  /** Ciphers to offer, as OpenSSL writes them. Default Node's own. */
  ciphers?: string
  /** One version of TLS alone, as OpenSSL names it: `'TLSv1_2_method'`. Default: what Node takes. */
  secureProtocol?: string
  /**
   * Default `true`. `false` accepts any certificate: whoever can place himself between the proxy and the target reads
   * and changes every request and answer, credentials and cookies included.
   */
  verify?: boolean
  /**
   * Keys that the target's own certificate may have: `'sha256/<base64>'`, the SHA-256 of its SubjectPublicKeyInfo
   * (RFC 7469 section 2.4). One must match, on top of `verify`; without it (`false`) they alone decide. A target whose key
   * changes before the pins do is out of reach.
   */
  pin?: readonly string[]
}

const known = [
  'servername',
  'ca',
  'cert',
  'key',
  'pfx',
  'passphrase',
  'identity',
  'ciphers',
  'secureProtocol',
  'verify',
  'pin',
]

/**
 * Reads a user's TLS settings into a frozen copy. A fault is added to `faults`; none of them shows a key.
 * @param path where the settings stand in what the user wrote
 */
export function readTls(given: unknown, path: string, faults: string[]): TargetTls | undefined {
  const before = faults.length
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    faults.push(`${path}: got ${kindOf(given)}, takes { ${known.join(', ')} }`)
    return undefined
  }
  const settings = given as Record<string, unknown>
  for (const key of Object.keys(settings))
    if (!known.includes(key)) faults.push(`${path}.${key}: unknown option, takes { ${known.join(', ')} }`)
  const { servername, ca, cert, key, pfx, passphrase, verify, pin } = settings
  for (const name of ['ciphers', 'secureProtocol'] as const) readName(settings[name], name, path, faults)
  if (servername !== undefined && !isServerName(servername)) {
    const got = typeof servername === 'string' ? JSON.stringify(servername) : kindOf(servername)
    faults.push(`${path}.servername: got ${got}, takes a host name (no address), or '' to send none`)
  }
  readAuthorities(ca, `${path}.ca`, faults)
  for (const [name, value] of [
    ['cert', cert],
    ['key', key],
  ] as const) {
    if (
      value !== undefined &&
      !isPem(value) &&
      !(Array.isArray(value) && value.length > 0 && value.every(isPem))
    )
      faults.push(`${path}.${name}: got ${kindOf(value)}, takes a text or a Buffer in PEM`)
  }
  if (cert !== undefined && key === undefined)
    faults.push(`${path}.key: got nothing, takes the private key of cert`)
  if (key !== undefined && cert === undefined)
    faults.push(`${path}.cert: got nothing, takes the certificate of key`)
  if (pfx !== undefined && !isPem(pfx))
    faults.push(`${path}.pfx: got ${kindOf(pfx)}, takes a text or a Buffer`)
  if (passphrase !== undefined && typeof passphrase !== 'string')
    faults.push(`${path}.passphrase: got ${kindOf(passphrase)}, takes a text`)
  else if (passphrase !== undefined && key === undefined && pfx === undefined)
    faults.push(`${path}.passphrase: got a text, takes nothing without a key`)
  readIdentity(settings, `${path}.identity`, faults)
  if (verify !== undefined && typeof verify !== 'boolean')
    faults.push(`${path}.verify: got ${kindOf(verify)}, takes true or false`)
  readPins(pin, `${path}.pin`, faults)
  if (faults.length > before) return undefined
  const tls: TargetTls = copyOf(settings as TargetTls)
  const unusable = tryOut(tls)
  if (unusable === undefined) return tls
  const where = tls.identity === undefined ? path : `${path}.identity`
  faults.push(`${where}: got a certificate or key that can't be used (${unusable}), takes PEM that fits`)
  return undefined
}

/** Whether both mean the same, so that connections made under one may serve the other. */
export function sameTls(a: TargetTls | undefined, b: TargetTls | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined) return false
  return (
    a.servername === b.servername &&
    (a.verify ?? true) === (b.verify ?? true) &&
    a.passphrase === b.passphrase &&
    // Two that say the same now may say different things tomorrow.
    a.identity === b.identity &&
    a.ciphers === b.ciphers &&
    a.secureProtocol === b.secureProtocol &&
    sameList(listOf(a.cert), listOf(b.cert)) &&
    sameList(listOf(a.key), listOf(b.key)) &&
    sameBytes(a.pfx, b.pfx) &&
    sameList(listOf(a.ca), listOf(b.ca)) &&
    sameList(a.pin, b.pin)
  )
}

function isServerName(value: unknown): value is string {
  if (typeof value !== 'string') return false
  return value === '' || (isIP(value) === 0 && value.length <= 253 && /^[\w-]+(\.[\w-]+)*$/.test(value))
}

/** A text that is OpenSSL's to judge, alone: so that no certificate is blamed for it. */
function readName(value: unknown, name: 'ciphers' | 'secureProtocol', path: string, faults: string[]): void {
  if (value === undefined) return
  if (typeof value !== 'string' || value === '') {
    faults.push(`${path}.${name}: got ${kindOf(value)}, takes a text`)
    return
  }
  const why = refusal(() => makeContext({ [name]: value }, undefined))
  if (why !== undefined)
    faults.push(`${path}.${name}: got ${JSON.stringify(value)}, takes what OpenSSL knows (${why})`)
}

function readAuthorities(ca: unknown, path: string, faults: string[]): void {
  if (ca === undefined || isPem(ca)) return
  if (Array.isArray(ca) && ca.length > 0) {
    ca.forEach((each: unknown, i) => {
      if (!isPem(each)) faults.push(`${path}[${i}]: got ${kindOf(each)}, takes a text or a Buffer in PEM`)
    })
    return
  }
  faults.push(`${path}: got ${kindOf(ca)}, takes a text or a Buffer in PEM, or a list of them`)
}

function readPins(pin: unknown, path: string, faults: string[]): void {
  if (pin === undefined) return
  const takes = "takes 'sha256/' and the hash of a public key in base64"
  if (!Array.isArray(pin) || pin.length === 0) {
    // An empty list would let nobody in, or everybody: neither is meant.
    faults.push(`${path}: got ${kindOf(pin)}, takes a list of them: ${takes}`)
    return
  }
  pin.forEach((each: unknown, i) => {
    const hash = typeof each === 'string' && each.startsWith('sha256/') ? each.slice('sha256/'.length) : ''
    const bytes = Buffer.from(hash, 'base64')
    if (bytes.length !== 32 || bytes.toString('base64') !== hash)
      faults.push(
        `${path}[${i}]: got ${typeof each === 'string' ? JSON.stringify(each) : kindOf(each)}, ${takes}`,
      )
  })
}

function copyOf(given: TargetTls): TargetTls {
  const tls: TargetTls = {}
  if (given.servername !== undefined) tls.servername = given.servername
  if (given.ca !== undefined) tls.ca = Object.freeze(listOf(given.ca))
  if (given.cert !== undefined) tls.cert = frozen(given.cert)
  if (given.key !== undefined) tls.key = frozen(given.key)
  if (given.pfx !== undefined) tls.pfx = given.pfx
  if (given.passphrase !== undefined) tls.passphrase = given.passphrase
  if (given.identity !== undefined) tls.identity = given.identity
  if (given.ciphers !== undefined) tls.ciphers = given.ciphers
  if (given.secureProtocol !== undefined) tls.secureProtocol = given.secureProtocol
  if (given.verify !== undefined) tls.verify = given.verify
  if (given.pin !== undefined) tls.pin = Object.freeze([...given.pin])
  return Object.freeze(tls)
}

/** What OpenSSL says against certificates and key: better now than with the first request. */
function tryOut(tls: TargetTls): string | undefined {
  const { ca, cert, ciphers, identity, pfx, secureProtocol } = tls
  if ([ca, cert, ciphers, identity, pfx, secureProtocol].every((each) => each === undefined)) return undefined
  const wrong = listOf(ca).some((each) => !each.toString().includes('-----BEGIN '))
  // OpenSSL takes an authority that is no PEM at all for none, and then nothing verifies.
  if (wrong) return 'ca holds no certificate'
  return refusal(() => {
    const pair = identity === undefined ? undefined : goodPair(identity)
    makeContext(tls, pair)
    if (identity !== undefined && pair !== undefined) isGood(identity, pair)
  })
}

/** What is said by what throws. */
function refusal(attempt: () => void): string | undefined {
  try {
    attempt()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function frozen(given: NonNullable<TargetTls['cert']>): NonNullable<TargetTls['cert']> {
  return Array.isArray(given) ? Object.freeze([...(given as (string | Buffer)[])]) : given
}

function listOf(ca: TargetTls['ca']): (string | Buffer)[] {
  return ca === undefined ? [] : Array.isArray(ca) ? [...ca] : [ca as string | Buffer]
}

function sameList(a: readonly (string | Buffer)[] = [], b: readonly (string | Buffer)[] = []): boolean {
  return a.length === b.length && a.every((each, i) => sameBytes(each, b[i]))
}
