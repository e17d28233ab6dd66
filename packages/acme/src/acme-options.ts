import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Duration, fault, integer, oneOf, parse, parseDuration, quote, that, v } from '@sluice/options'
import { eabOption, isCertificate, isDirectory, type Pem } from './acme-client-options.js'
import type { AcmeStorage } from './acme-storage.js'
import { domainName } from './domain-name.js'
import type { KeyType } from './generate-key.js'

/** A challenge that the proxy answers by itself. */
export type AnsweredChallenge = 'tls-alpn-01' | 'http-01'

/** Who writes into the DNS, for DNS-01 (RFC 8555 section 8.4). */
export interface DnsOptions {
  /**
   * Adds a TXT record, such as `_acme-challenge.example.com`, beside others of that name: a name and its wildcard have one each at the same
   * time. It resolves when the record is written. What it throws fails this order.
   */
  set: (name: string, value: string) => void | Promise<void>
  /** Removes that record, and no other of its name. It is called after every `set`, also one that has failed. */
  remove: (name: string, value: string) => void | Promise<void>
  /** Until what was written is seen by all name servers of the zone: the authority is asked to look only then. Default 10s. */
  wait?: Duration
  /** For one call of `set` or `remove`: one that takes longer has failed. Default 60s. */
  timeout?: Duration
}

/** What bounds issuance on demand. */
export interface OnDemandLimits {
  /** Orders in an hour, of this process. Default 60. */
  orders?: number
  /** Orders at the same time, of this process. Default 4. */
  together?: number
  /** Names for which `allow` is asked in a minute, eight of them at the same time; others are refused then. Default 600. */
  asks?: number
  /** Names that are held and renewed; the one that was asked for least lately is left to the storage. Default 1000. */
  names?: number
}

/** Certificates for names that are learnt when a client asks for them. */
export interface OnDemandOptions {
  /**
   * Whether a certificate may be issued for a name: a look into the customers' table, say. A client chooses the name, so without this anybody
   * could order certificates in your name. It is asked again before each further order. What it throws is a no for now.
   */
  allow: (name: string) => boolean | Promise<boolean>
  /**
   * What a handshake waits for a first certificate; the order goes on behind it, and the next handshake has it. Servers give a handshake 10 s by the presets
   * of `@sluice/tls`, and its `certificates` a provider their `timeout`: both should be longer. Default 8s.
   */
  wait?: Duration
  /** How long a no is kept, more than 0. Default 1m. */
  refused?: Duration
  limit?: OnDemandLimits
}

/** Options of {@link acme}. */
export interface AcmeOptions {
  /**
   * Each entry is one certificate: of a name, or of several (the first is what it is stored by). A wildcard such as `*.example.com` needs `dns`.
   * Needed unless there is `onDemand`.
   */
  domains?: readonly (string | readonly string[])[]
  /** Where the authority writes to when something is wrong. Default none. */
  email?: string
  /** That you agree to the authority's terms of service. Nothing is done without. */
  agreeToTerms: true
  /** The authority's directory. Default Let's Encrypt's, `https://acme-v02.api.letsencrypt.org/directory`. */
  directory?: string
  /** Who signs the certificate of the directory's own server (PEM), of an authority of one's own. Default those that Node trusts. */
  ca?: string | Buffer
  /**
   * Where accounts and certificates are kept: a folder, or a storage that several machines share. It has to outlive the process, or each start
   * orders anew and soon meets the authority's limits. Default `sluice/acme` where the user's data is (`$XDG_DATA_HOME`, `~/.local/share`).
   */
  storage?: string | AcmeStorage
  /**
   * What the proxy answers itself, the one to try first in front; after a failure the next one has its turn. Default `['tls-alpn-01', 'http-01']`, or
   * none where there is `dns`.
   */
  challenges?: readonly AnsweredChallenge[]
  /** For DNS-01: of wildcards, and of all names where `challenges` names none. Default none. */
  dns?: DnsOptions
  /** The account that the authority knows already (RFC 8555 section 7.3.4): its key id, and the key in base64url. Default none. */
  eab?: { kid: string; hmacKey: string }
  /** Of the certificates' keys: P-256, RSA of 2048 bits, or a certificate of each. Default `'ecdsa'`. */
  keyType?: 'ecdsa' | 'rsa' | 'both'
  /**
   * How long before its end a certificate is renewed at the latest. Default when the authority says so (RFC 9773); without such a word with a
   * third of its life left, or half of one that lives under 10 days.
   */
  renewBefore?: Duration
  /** Certificates for names that no entry of `domains` has. Default none. */
  onDemand?: OnDemandOptions
  /** The common name of the root whose chain is wanted, where the authority offers several. Default its first. */
  preferredChain?: string
  /** The authority's profile to order by, such as `'shortlived'`. Default its own. */
  profile?: string
}

/** {@link DnsOptions} in milliseconds. */
export interface DnsSettings {
  readonly set: DnsOptions['set']
  readonly remove: DnsOptions['remove']
  readonly wait: number
  readonly timeout: number
}

/** {@link OnDemandOptions}, all of them, in milliseconds. */
export interface OnDemandSettings {
  readonly allow: OnDemandOptions['allow']
  readonly wait: number
  readonly refused: number
  readonly limit: Readonly<Required<OnDemandLimits>>
}

/** {@link AcmeOptions}, all of them, read. */
export interface AcmeSettings {
  /** As certificates have them: the first is the one that the certificate is stored by. */
  readonly domains: readonly (readonly string[])[]
  readonly email: string | undefined
  readonly directory: string
  readonly ca: string | Buffer | undefined
  readonly storage: string | AcmeStorage
  readonly challenges: readonly AnsweredChallenge[]
  readonly dns: DnsSettings | undefined
  readonly eab: { readonly kid: string; readonly hmacKey: string } | undefined
  readonly keyTypes: readonly KeyType[]
  readonly renewBefore: number | undefined
  readonly onDemand: OnDemandSettings | undefined
  readonly preferredChain: string | undefined
  readonly profile: string | undefined
}

const text = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isFunction = (value: unknown): boolean => typeof value === 'function'

/** What a timer keeps for at most 24 days and 20 hours, which is little of a certificate's life. */
const lifetime = v.pipe(
  that<Duration>((value) => {
    try {
      return parseDuration(value as Duration) > 0
    } catch {
      return false
    }
  }, "milliseconds or a text such as '720h', more than 0"),
  v.transform((value) => parseDuration(value)),
)

const waiting = (least: number, most: number, takes: string): v.GenericSchema<Duration, number> =>
  v.pipe(
    that<Duration>((value) => {
      try {
        const ms = parseDuration(value as Duration)
        return ms >= least && ms <= most
      } catch {
        return false
      }
    }, takes),
    v.transform((value) => parseDuration(value)),
  )

const name = v.pipe(
  that<string>(
    (value) => typeof value === 'string' && domainName(value) !== undefined,
    "a name such as 'example.com' or '*.example.com', without scheme, port or path, and no address",
  ),
  v.transform((value) => domainName(value) as string),
)

const names = v.lazy((value) =>
  Array.isArray(value)
    ? v.pipe(
        v.array(name),
        v.check((list) => list.length > 0, 'at least one name'),
      )
    : v.pipe(
        name,
        v.transform((one) => [one]),
      ),
) as v.GenericSchema<string | readonly string[], string[]>

const storageCalls = ['get', 'set', 'delete', 'list', 'lock'] as const
const isStorage = (value: unknown): boolean =>
  text(value) ||
  (typeof value === 'object' &&
    value !== null &&
    storageCalls.every((call) => isFunction((value as Record<string, unknown>)[call])))

const dnsOptions = v.strictObject({
  set: that<DnsOptions['set']>(isFunction, 'a function (name, value)'),
  remove: that<DnsOptions['remove']>(isFunction, 'a function (name, value)'),
  wait: v.optional(waiting(0, 3_600_000, "a duration such as '30s', at most 1h"), 10_000),
  timeout: v.optional(waiting(1, 600_000, "a duration such as '60s', more than 0, at most 10m"), 60_000),
})

const onDemandOptions = v.strictObject({
  allow: that<OnDemandOptions['allow']>(
    isFunction,
    'a function (name) that tells whether a certificate may be issued: without it anybody could order any',
  ),
  wait: v.optional(waiting(0, 60_000, "a duration such as '8s', at most 1m"), 8_000),
  refused: v.optional(waiting(1, 86_400_000, "a duration such as '1m', more than 0, at most 24h"), 60_000),
  limit: v.optional(
    v.strictObject({
      orders: v.optional(integer(1), 60),
      together: v.optional(integer(1, 100), 4),
      asks: v.optional(integer(1), 600),
      names: v.optional(integer(1, 1_000_000), 1_000),
    }),
    {},
  ),
})

/** Schema of {@link AcmeOptions}, for those who take them among their own. */
export const acmeOptions = v.strictObject({
  domains: v.optional(v.array(names), []),
  email: v.optional(
    that<string>(
      (value) => typeof value === 'string' && /^[^\s@,?<>]+@[^\s@,?<>]+$/.test(value),
      "an address such as 'admin@example.com'",
    ),
  ),
  agreeToTerms: that<true>(
    (value) => value === true,
    "true: that you agree to the authority's terms of service, without which it issues nothing",
  ),
  directory: v.optional(
    that<string>(isDirectory, "an https: URL such as 'https://acme-v02.api.letsencrypt.org/directory'"),
    'https://acme-v02.api.letsencrypt.org/directory',
  ),
  ca: v.optional(that<Pem>(isCertificate, 'certificates in PEM')),
  storage: v.optional(
    that<string | AcmeStorage>(isStorage, `a folder, or a storage { ${storageCalls.join(', ')} }`),
    dataFolder,
  ),
  challenges: v.optional(v.array(oneOf('tls-alpn-01', 'http-01'))),
  dns: v.optional(dnsOptions),
  eab: v.optional(eabOption),
  keyType: v.optional(oneOf('ecdsa', 'rsa', 'both'), 'ecdsa'),
  renewBefore: v.optional(lifetime),
  onDemand: v.optional(onDemandOptions),
  preferredChain: v.optional(that<string>(text, "a common name such as 'ISRG Root X1'")),
  profile: v.optional(
    that<string>(
      (value) => typeof value === 'string' && /^[\w.-]+$/.test(value),
      "a name such as 'shortlived'",
    ),
  ),
})

/** Where a user's programs keep their data (XDG Base Directory Specification). */
function dataFolder(): string {
  const { XDG_DATA_HOME: home } = process.env
  return join(home === undefined || home === '' ? join(homedir(), '.local', 'share') : home, 'sluice', 'acme')
}

/**
 * Reads the options, and judges what no single one shows.
 * @param path where they stand in what the user wrote
 * @throws TypeError with a line for each fault
 */
export function resolveAcme(options: AcmeOptions, path: string): AcmeSettings {
  const { keyType, challenges, ...rest } = parse(acmeOptions, options, path)
  const at = (option: string): string => (path === '' ? option : `${path}.${option}`)
  const { domains, dns, onDemand } = rest
  const answered = challenges ?? (dns === undefined ? (['tls-alpn-01', 'http-01'] as const) : [])
  const faults: string[] = []
  if (domains.length === 0 && onDemand === undefined)
    faults.push(fault(at('domains'), 'none', "names such as ['example.com'], or onDemand"))
  if (answered.length === 0 && dns === undefined)
    faults.push(fault(at('challenges'), 'none', "at least one of 'tls-alpn-01', 'http-01', or dns beside it"))
  if (new Set(answered).size < answered.length)
    faults.push(fault(at('challenges'), quote(answered), 'each challenge once'))
  const seen = new Map<string, string>()
  for (const [i, list] of domains.entries()) {
    for (const each of list) {
      const before = seen.get(each)
      if (before !== undefined)
        faults.push(fault(at(`domains[${i}]`), quote(each), `each name once: ${before} has it`))
      seen.set(each, at(`domains[${i}]`))
      if (each.startsWith('*.') && dns === undefined)
        faults.push(
          fault(
            at(`domains[${i}]`),
            quote(each),
            `names without *, unless there is ${at('dns')}: only DNS-01 proves a wildcard (RFC 8555 section 7.1.3)`,
          ),
        )
    }
  }
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  return {
    ...rest,
    challenges: answered,
    keyTypes: keyType === 'both' ? ['ecdsa', 'rsa'] : [keyType],
  } as AcmeSettings
}
