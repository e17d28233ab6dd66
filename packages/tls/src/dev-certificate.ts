import { X509Certificate } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { parse, that, v } from '@sluice/options'
import debug from 'debug'
import writeFileAtomic from 'write-file-atomic'
import { alternativeNames } from './alternative-names.js'
import type { PemPair } from './pem-files.js'
import { readPemPair, readText, writeFirst } from './pem-files.js'
import { permits, permittedNames } from './permitted-names.js'
import { stateFolder } from './state-folder.js'

const log = debug('sluice:tls')

/** Options of {@link devCertificate}. */
export interface DevCertificateOptions {
  /** Where authority and certificate are kept. Default `sluice/development` in `XDG_STATE_HOME`, or in `~/.local/state`. */
  folder?: string
  /**
   * Names and addresses beside `localhost`, `*.localhost`, `127.0.0.1` and `::1`. Names below `localhost` need no new authority. Many clients
   * (OpenSSL, Node, Chromium) take no wildcard directly below `localhost`: name those here. Default none.
   */
  names?: readonly string[]
  /** The clock, in ms since 1970. Default `Date.now`. */
  now?: () => number
}

/** A certificate for one's own machine, and what to trust it by. */
export interface DevCertificate {
  /** The certificate (PEM). With `key` it is what `tls` of `createProxy`, or `https.createServer`, takes. */
  readonly cert: string
  /** Its private key (PEM). */
  readonly key: string
  /** The certificate of the authority (PEM). */
  readonly ca: string
  /** The file that it is in, to be trusted: `curl --cacert FILE`, `NODE_EXTRA_CA_CERTS=FILE`, or the settings of a browser. */
  readonly caFile: string
}

const devOptions = v.strictObject({
  folder: v.optional(that<string>((value) => typeof value === 'string' && value !== '', "a folder's name")),
  names: v.optional(
    v.array(that<string>(isName, "a name such as 'app.test', '*.app.test' or '192.168.0.7'")),
    [],
  ),
  now: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function that gives ms since 1970'),
  ),
})

const always = ['localhost', '*.localhost', '127.0.0.1', '::1']

/** What has to be left of a certificate's life when it is handed out, in ms: a third. Of an authority's as much as a certificate lives. */
const enough = 30 * 86_400_000
const enoughOfAuthority = 90 * 86_400_000

/**
 * A certificate for servers on one's own machine, and an authority for it that is made once, so that whoever trusts that is
 * asked once. Each call gives what is there, and renews what is near its end: the certificate after two months, the authority after ten years.
 *
 * The authority can certify the names that it was made for and no others (name constraints); names that it doesn't cover make a
 * new one, for old names and new. Its key can't be read by other users. Nothing on this machine trusts it until somebody says so.
 * @throws TypeError for a wrong option, Error that names the folder where it can't be written
 */
export async function devCertificate(
  options: DevCertificateOptions = {},
  path = 'devCertificate',
): Promise<DevCertificate> {
  const { names, ...given } = parse(devOptions, options, path)
  const { folder = join(stateFolder(), 'sluice', 'development'), now = Date.now } = given
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return await inFolder(folder, [...always, ...names], now())
  } catch (error) {
    throw new Error(`devCertificate: can't keep a certificate in ${folder}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

async function inFolder(folder: string, wanted: readonly string[], now: number): Promise<DevCertificate> {
  const files = {
    authority: join(folder, 'authority.pem'),
    ca: join(folder, 'ca.pem'),
    certificate: join(folder, 'certificate.pem'),
  }
  const kept = {
    authority: await readPemPair(files.authority),
    certificate: await readPemPair(files.certificate),
  }
  // What an earlier call has asked for stays: two projects would else take it from each other.
  const names = [...new Set([...wanted, ...namesOf(kept.certificate)].map(canonical))]
  const { authority, certificate } = serves(kept, names, now) ? kept : await renewed(kept, names, now, files)
  if ((await readText(files.ca)) !== authority.cert)
    await writeFileAtomic(files.ca, authority.cert, { mode: 0o644 })
  return { ...certificate, ca: authority.cert, caFile: files.ca }
}

interface Pairs {
  readonly authority: PemPair
  readonly certificate: PemPair
}

/** Loads what makes certificates only where one has to be made: that takes ten times as long as all else. */
async function renewed(
  kept: { readonly authority: PemPair | undefined },
  names: readonly string[],
  now: number,
  files: { readonly authority: string; readonly certificate: string },
): Promise<Pairs> {
  const { issueDevCertificate, makeDevAuthority, permittedBy } = await import('./dev-authority.js')
  const old = kept.authority
  const permitted = old === undefined ? [] : await permittedBy(old.cert)
  let authority = old
  if (
    old === undefined ||
    !isInTime(old, now, enoughOfAuthority) ||
    !permits(permitted, permittedNames(names))
  ) {
    const earlier = permitted.map((name) => name.replace(/\/\d+$/, ''))
    authority = await keep(
      await makeDevAuthority([...names, ...earlier], now),
      files.authority,
      old === undefined,
    )
  }
  const certificate = await issueDevCertificate(authority as PemPair, names, now)
  await writeFileAtomic(files.certificate, certificate.cert + certificate.key, { mode: 0o600 })
  if (log.enabled) log('made a certificate for %s: %s', names.join(', '), files.certificate)
  return { authority: authority as PemPair, certificate }
}

/** Writes an authority down. Of several processes that make the first, all get the same. */
async function keep(made: PemPair, file: string, first: boolean): Promise<PemPair> {
  const text = made.cert + made.key
  if (first && !(await writeFirst(file, text))) {
    const there = await readPemPair(file)
    if (there !== undefined) return there
  }
  await writeFileAtomic(file, text, { mode: 0o600 })
  if (log.enabled) log('made an authority, which nobody trusts yet: %s', file)
  return made
}

/** Whether all of the names are certified, for long enough, by an authority that lasts as long. */
function serves(
  kept: Partial<Record<keyof Pairs, PemPair | undefined>>,
  names: readonly string[],
  now: number,
): kept is Pairs {
  const { authority, certificate } = kept
  if (authority === undefined || certificate === undefined) return false
  const [leaf, issuer] = [new X509Certificate(certificate.cert), new X509Certificate(authority.cert)]
  const certified = namesOf(certificate).map(canonical)
  return (
    isInTime(authority, now, enoughOfAuthority) &&
    isInTime(certificate, now, enough) &&
    names.every((name) => certified.includes(name)) &&
    leaf.checkIssued(issuer) &&
    leaf.verify(issuer.publicKey)
  )
}

function isInTime({ cert }: PemPair, now: number, left: number): boolean {
  const { validFrom, validTo } = new X509Certificate(cert)
  return now >= Date.parse(validFrom) && Date.parse(validTo) - now >= left
}

function namesOf(pair: PemPair | undefined): string[] {
  if (pair === undefined) return []
  return alternativeNames(new X509Certificate(pair.cert).subjectAltName).map(({ value }) => value)
}

/** The one spelling of a name or an address. */
function canonical(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase()
}

function isName(value: unknown): boolean {
  if (typeof value !== 'string') return false
  return (
    (isIP(value) !== 0 && !value.includes('%')) ||
    /^(?:\*\.)?(?:[a-z\d](?:[a-z\d-]*[a-z\d])?\.)*[a-z\d](?:[a-z\d-]*[a-z\d])?$/i.test(value)
  )
}
