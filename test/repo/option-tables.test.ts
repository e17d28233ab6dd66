import {
  basicAuthOptions,
  corsOptions,
  forwardAuthOptions,
  jwtOptions,
  maintenanceOptions,
  requestIdOptions,
  securityHeadersOptions,
  signedUrlOptions,
} from '@sluice/access'
import { acmeOptions } from '@sluice/acme'
import { preferZoneOptions, slowStartOptions, stickyOptions } from '@sluice/balance'
import { cacheOptions } from '@sluice/cache'
import {
  compressOptions,
  compressRequestsOptions,
  decompressRequestsOptions,
  dictionaryOptions,
} from '@sluice/compress'
import {
  anonymityOptions,
  ipFilterOptions,
  serverGuardOptions,
  shedOptions,
  slowOptions,
  validateOptions,
} from '@sluice/guard'
import { probeOptions } from '@sluice/guard/probe'
import { declaredOptions, ejectionOptions, healthOptions } from '@sluice/health'
import { concurrencyLimitOptions, rateLimitOptions } from '@sluice/limit'
import { parse } from '@sluice/options'
import { breakerOptions, concurrencyOptions, hedgeOptions, retryOptions } from '@sluice/resilience'
import { certificatesOptions } from '@sluice/tls'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { packages, read, sourcesOf } from './tree.js'

interface Row {
  /** As in the first cell: `retry.min`. */
  readonly names: readonly string[]
  /** The second cell. */
  readonly says: string
}

/** The tables of a page whose first heading begins with `option`, in the page's order. */
function tablesOf(page: string): Row[][] {
  return [...page.matchAll(/^\| option[^\n]*\n\|[-|]+\n((?:\|.*\n)+)/gm)].map(([, body = '']) =>
    body
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, first = '', says = ''] = line.split(/(?<!\\)\|/)
        return { names: [...first.matchAll(/`\.?([\w.]+)`/g)].map(([, name = '']) => name), says }
      }),
  )
}

interface Documented {
  readonly name: string
  readonly text: string
}

/** The options of an interface, each with its docstring. */
function interfaceOf(short: string, name: string): Documented[] {
  const one = packages.find((each) => each.short === short) as (typeof packages)[number]
  const start = new RegExp(
    String.raw`^export interface ${name}(?:<[^>{]*>)?(?: extends [^{]*)? \{\n([\s\S]*?)^\}`,
    'm',
  )
  const body = sourcesOf(one)
    .map((file) => start.exec(read(file))?.[1])
    .find((found) => found !== undefined)
  if (body === undefined) throw new Error(`${short} has no interface ${name}`)
  return [...body.matchAll(/(?:^ {2}\/\*\*([\s\S]*?)\*\/\n)?^ {2}(\w+)\??:/gm)].map(
    ([, text = '', option = '']) => ({
      name: option,
      text: text.replaceAll(/\s*\n\s*\*\s*/g, ' '),
    }),
  )
}

/** What may be written for a default: a number of milliseconds or bytes with its unit, texts without their quotes. */
function written(value: unknown): string[] {
  if (value === 0) return ['0', 'off', 'none', 'no limit']
  if (value === false) return ['false', 'off', 'none']
  if (value === true) return ['true', 'on']
  if (typeof value !== 'number') return [String(value)]
  const units: [number, string][] = [
    [1, 'ms'],
    [1_000, 's'],
    [60_000, 'm'],
    [3_600_000, 'h'],
    [1_024, 'kb'],
    [1_048_576, 'mb'],
    [1_073_741_824, 'gb'],
  ]
  const whole = units.filter(([unit]) => value % unit === 0 || value % (unit / 10) === 0)
  return [
    String(value),
    ...whole.flatMap(([unit, sign]) => [`${value / unit}${sign}`, `${value / unit} ${sign}`]),
  ]
}

/** Whether a text tells a default, and each part of one that has parts. */
function tells(text: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'function') return true
  if (typeof value === 'object' && value !== null)
    return Object.values(value).every((each) => tells(text, each))
  const plain = text.replaceAll(/[`'"[\]]/g, '')
  return written(value).some((each) =>
    new RegExp(String.raw`(?<![\w.])${each.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\w]|\.\d)`).test(
      plain,
    ),
  )
}

interface Case {
  readonly short: string
  /** Which tables of the package's page: by their place on it, or by what their heading says that the options are of. */
  readonly tables: readonly (number | string)[]
  readonly interfaces: readonly string[]
  /** Options with their defaults. */
  readonly defaults?: object
  /** With more turned on, where the table tells of the options of what is off. */
  readonly inTable?: object
}

const health = (given = {}) => parse(healthOptions, given, '')
const ejection = (given = {}) => parse(ejectionOptions, given, '')
/** What is on by default says so, and has its own defaults told where its options are. */
const switches = (settings: object) =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, typeof value === 'object' ? true : value]),
  )
const all = { failurePercent: true, latency: true }
const { successRate, failurePercent, latency } = ejection(all)

const acme = parse(
  acmeOptions,
  { agreeToTerms: true, dns: { set() {}, remove() {} }, onDemand: { allow: () => true } },
  '',
)

const listed = parse(ipFilterOptions, { allow: { load: () => [] }, deny: { file: 'denied.txt' } }, '') as {
  readonly allow: { readonly every: number }
  readonly deny: { readonly poll: number }
}
const ipSources = { allow: { every: listed.allow.every }, deny: { poll: listed.deny.poll } }
const tokens = { jwks: 'https://a.example/', issuer: 'a', audience: 'b' }
const cut = { contentSecurityPolicy: {}, strictTransportSecurity: {} }
const secured = parse(securityHeadersOptions, cut, '')

const cases: Case[] = [
  {
    short: 'access',
    tables: ['basicAuth'],
    interfaces: ['BasicAuthOptions'],
    defaults: { ...parse(basicAuthOptions, { users: () => true }, ''), users: undefined },
  },
  {
    short: 'access',
    tables: ['jwt'],
    interfaces: ['JwtOptions'],
    defaults: { ...parse(jwtOptions, tokens, ''), jwks: undefined, issuer: undefined, audience: undefined },
  },
  {
    short: 'access',
    tables: ['forwardAuth'],
    interfaces: ['ForwardAuthOptions'],
    defaults: { ...parse(forwardAuthOptions, { url: 'http://a.example/' }, ''), url: undefined },
  },
  {
    short: 'access',
    tables: ['signedUrl'],
    interfaces: ['SignedUrlOptions'],
    defaults: { ...parse(signedUrlOptions, { secret: 'x'.repeat(16) }, ''), secret: undefined },
  },
  { short: 'access', tables: ['signUrl'], interfaces: ['SignUrlOptions'], defaults: { method: 'GET' } },
  {
    short: 'access',
    tables: ['cors'],
    interfaces: ['CorsOptions'],
    defaults: { ...parse(corsOptions, { origins: '*' }, ''), origins: undefined },
  },
  {
    short: 'access',
    tables: ['securityHeaders'],
    interfaces: ['SecurityHeadersOptions'],
    defaults: parse(securityHeadersOptions, {}, ''),
  },
  {
    short: 'access',
    tables: ['contentSecurityPolicy'],
    interfaces: ['ContentSecurityPolicyOptions'],
    defaults: secured.contentSecurityPolicy as object,
  },
  {
    short: 'access',
    tables: ['strictTransportSecurity'],
    interfaces: ['StrictTransportSecurityOptions'],
    defaults: secured.strictTransportSecurity as object,
  },
  {
    short: 'access',
    tables: ['requestId'],
    interfaces: ['RequestIdOptions'],
    defaults: parse(requestIdOptions, {}, ''),
  },
  {
    short: 'access',
    tables: ['maintenance'],
    interfaces: ['MaintenanceOptions'],
    defaults: { ...parse(maintenanceOptions, { on: false }, ''), on: undefined },
  },
  {
    short: 'acme',
    tables: [0],
    interfaces: ['AcmeOptions'],
    // The folder is each machine's own.
    defaults: { directory: acme.directory, keyType: acme.keyType },
  },
  { short: 'acme', tables: [1], interfaces: ['DnsOptions'], defaults: acme.dns as object },
  {
    short: 'acme',
    tables: [2],
    interfaces: ['OnDemandOptions'],
    defaults: { ...acme.onDemand, limit: undefined },
  },
  { short: 'acme', tables: [3], interfaces: ['OnDemandLimits'], defaults: acme.onDemand?.limit as object },
  {
    short: 'balance',
    tables: [0],
    interfaces: ['StickyOptions'],
    defaults: { ...parse(stickyOptions, { secret: 'x' }, ''), secret: undefined },
  },
  {
    short: 'balance',
    tables: [],
    interfaces: ['SlowStartOptions'],
    defaults: { ...parse(slowStartOptions, { window: 1 }, ''), window: undefined },
  },
  {
    short: 'balance',
    tables: [],
    interfaces: ['PreferZoneOptions'],
    defaults: parse(preferZoneOptions, { zone: 'a' }, ''),
  },
  {
    short: 'health',
    tables: [0],
    interfaces: ['HttpProbeOptions', 'GrpcProbeOptions'],
    defaults: { ...health(), ...health({ type: 'grpc' }) },
  },
  { short: 'health', tables: [1], interfaces: ['MonitorOptions'], defaults: health() },
  {
    short: 'health',
    tables: [2, 3],
    interfaces: ['EjectionOptions'],
    defaults: switches(ejection()),
    inTable: ejection(all),
  },
  { short: 'health', tables: [], interfaces: ['SuccessRateOptions'], defaults: successRate as object },
  { short: 'health', tables: [], interfaces: ['FailurePercentOptions'], defaults: failurePercent as object },
  { short: 'health', tables: [], interfaces: ['LatencyOptions'], defaults: latency as object },
  { short: 'health', tables: [4], interfaces: ['DeclaredOptions'], defaults: parse(declaredOptions, {}, '') },
  {
    short: 'compress',
    tables: [],
    interfaces: ['DictionaryOptions', 'DictionaryRule'],
    defaults: parse(dictionaryOptions, {}, ''),
  },
  {
    short: 'guard',
    tables: ['harden'],
    interfaces: ['ServerGuardOptions'],
    defaults: parse(serverGuardOptions, {}, ''),
  },
  {
    short: 'guard',
    tables: ['slow'],
    interfaces: ['SlowOptions'],
    defaults: parse(slowOptions, {}, ''),
  },
  { short: 'resilience', tables: [0], interfaces: ['RetryOptions'], defaults: parse(retryOptions, {}, '') },
  {
    short: 'resilience',
    tables: [],
    interfaces: ['BackoffOptions'],
    defaults: parse(retryOptions, { backoff: {} }, '').backoff as object,
  },
  {
    short: 'resilience',
    tables: [1],
    interfaces: ['HedgingOptions', 'HedgeDelayOptions'],
    defaults: parse(hedgeOptions, {}, ''),
  },
  {
    short: 'resilience',
    tables: [2],
    interfaces: ['HedgeOptions', 'HedgeDelayOptions'],
    defaults: parse(hedgeOptions, {}, ''),
  },
  {
    short: 'resilience',
    tables: [3],
    interfaces: ['BreakerOptions'],
    defaults: parse(breakerOptions, {}, ''),
  },
  {
    short: 'resilience',
    tables: [4],
    interfaces: ['ConcurrencyOptions'],
    defaults: { ...parse(concurrencyOptions, { limit: 1 }, ''), limit: undefined },
  },
  {
    short: 'tls',
    tables: [0],
    interfaces: ['CertificatesOptions'],
    defaults: parse(certificatesOptions, {}, ''),
  },
  {
    short: 'cache',
    tables: [0],
    interfaces: ['CacheOptions'],
    // Those of the key stand in a table of their own.
    defaults: { maxSize: 64 * 1024 ** 2, ...parse(cacheOptions, {}, ''), key: undefined },
  },
  {
    short: 'cache',
    tables: [1],
    interfaces: ['KeyOptions'],
    defaults: parse(cacheOptions, {}, '').key,
  },
  {
    short: 'cache',
    tables: [2],
    interfaces: ['MemoryStoreOptions'],
    defaults: { maxSize: 64 * 1024 ** 2, maxEntry: 8 * 1024 ** 2 },
  },
  {
    short: 'cache',
    tables: [3],
    interfaces: ['FileStoreOptions'],
    defaults: { maxSize: 1024 ** 3, maxEntry: 64 * 1024 ** 2, maxPending: 32 * 1024 ** 2, maxOpen: 512 },
  },
  { short: 'cache', tables: [4], interfaces: ['TieredOptions'], defaults: { promote: 1024 ** 2 } },
  {
    short: 'redis',
    tables: [0],
    interfaces: ['RedisStoreOptions'],
    defaults: {
      prefix: 'sluice:',
      timeout: 100,
      pause: 1000,
      leaseTime: 30_000,
      maxEntry: 8 * 1024 ** 2,
      chunk: 256 * 1024,
      buffer: 32 * 1024 ** 2,
    },
  },
  {
    short: 'tls',
    tables: ['ocspStapler'],
    interfaces: ['OcspStaplerOptions'],
    defaults: { timeout: 10_000, wait: 2_000, certificates: 1_000 },
  },
  {
    short: 'redis',
    tables: [1],
    interfaces: ['RedisSharedOptions'],
    defaults: { prefix: 'sluice:acme:', timeout: 5_000, pause: 1_000 },
  },
  {
    short: 'compress',
    tables: [0],
    interfaces: ['CompressOptions'],
    defaults: parse(compressOptions, {}, ''),
  },
  { short: 'compress', tables: [1], interfaces: ['DecompressOptions'], defaults: { for: 'client' } },
  {
    short: 'compress',
    tables: [2],
    interfaces: ['DecompressRequestsOptions'],
    defaults: parse(decompressRequestsOptions, {}, ''),
  },
  {
    short: 'compress',
    tables: [3],
    interfaces: ['CompressRequestsOptions'],
    defaults: parse(compressRequestsOptions, {}, ''),
  },
  {
    short: 'compress',
    tables: [4],
    interfaces: ['CompressionOptions'],
    defaults: { threshold: 1024, level: { br: 4, gzip: 6, deflate: 6 } },
  },
  {
    short: 'compress',
    tables: [5],
    interfaces: ['DictionaryOptions'],
    defaults: { maxSize: 32 * 1024 ** 2, maxEntry: 4 * 1024 ** 2, maxCount: 256 },
  },
  {
    short: 'guard',
    tables: ['validate'],
    interfaces: ['ValidateOptions'],
    defaults: parse(validateOptions, {}, ''),
  },
  { short: 'guard', tables: ['ipFilter'], interfaces: ['IpFilterOptions'] },
  { short: 'guard', tables: ['IpFile'], interfaces: ['IpFile'], defaults: ipSources.deny },
  { short: 'guard', tables: ['IpLoad'], interfaces: ['IpLoad'], defaults: ipSources.allow },
  { short: 'guard', tables: ['shed'], interfaces: ['ShedOptions'], defaults: parse(shedOptions, {}, '') },
  { short: 'discovery', tables: [1], interfaces: ['FileOptions'] },
  {
    short: 'limit',
    tables: ['gcra'],
    interfaces: ['GcraOptions', 'MemoryLimiterOptions'],
    defaults: { keys: 100_000 },
  },
  {
    short: 'limit',
    tables: ['tokenBucket'],
    interfaces: ['TokenBucketOptions', 'MemoryLimiterOptions'],
    defaults: { per: 1_000, keys: 100_000 },
  },
  {
    short: 'limit',
    tables: ['slidingWindow'],
    interfaces: ['SlidingWindowOptions', 'MemoryLimiterOptions'],
    defaults: { keys: 100_000 },
  },
  {
    short: 'limit',
    tables: ['rateLimit'],
    interfaces: ['RateLimitKey'],
    defaults: { cost: 1, name: 'default', fields: true },
  },
  {
    short: 'limit',
    tables: ['clientKey'],
    interfaces: ['ClientKeyOptions'],
    defaults: { ipv4: 32, ipv6: 64 },
  },
  {
    short: 'limit',
    tables: ['concurrencyLimit'],
    interfaces: ['ConcurrencyLimitOptions'],
    defaults: { ...parse(concurrencyLimitOptions, { limit: 1 }, ''), by: 'route', limit: undefined },
  },
  {
    short: 'limit',
    tables: ['resolveRateLimit'],
    interfaces: ['RateLimitOptions'],
    defaults: {
      ...parse(rateLimitOptions, { limit: 1, window: 1 }, ''),
      algorithm: 'gcra',
      prefix: { ipv4: 32, ipv6: 64 },
      keys: 100_000,
      limit: undefined,
      window: undefined,
    },
  },
  {
    short: 'redis',
    tables: [2],
    interfaces: ['RedisLimiterOptions'],
    defaults: { instances: 2, prefix: 'sluice:limit:', timeout: 100, pause: 1_000, keys: 100_000 },
  },
  { short: 'upstream', tables: [0], interfaces: ['UpstreamSettings'], defaults: { panic: 0 } },
  { short: 'upstream', tables: [2], interfaces: ['TargetTls'], defaults: { verify: true } },
  {
    short: 'tls',
    tables: ['serverTls'],
    interfaces: ['ServerTlsOptions'],
    defaults: { preset: 'intermediate', http2: false, client: 'none' },
  },
  {
    short: 'tls',
    tables: ['ticketKeys'],
    interfaces: ['TicketKeysOptions'],
    defaults: { rotate: 12 * 3_600_000, keep: 2 },
  },
  { short: 'tls', tables: ['keyPairFiles'], interfaces: ['KeyPairFilesOptions'] },
  { short: 'tls', tables: ['watchExpiry'], interfaces: ['WatchExpiryOptions'] },
  {
    short: 'tls',
    tables: ['redirectToHttps'],
    interfaces: ['RedirectToHttpsOptions'],
    defaults: { port: 443, status: 308 },
  },
  {
    short: 'tls',
    tables: ['hsts'],
    interfaces: ['HstsOptions'],
    defaults: { maxAge: '8760h', includeSubDomains: false, preload: false, keep: false },
  },
  // Those of `pass` stand in the same table, behind its name.
  { short: 'tls', tables: [], interfaces: ['ClientCertificateOptions'], defaults: { required: false } },
  { short: 'tls', tables: [], interfaces: ['PassedCertificate'], defaults: { clientCert: false } },
  { short: 'tls', tables: ['devCertificate'], interfaces: ['DevCertificateOptions'] },
  { short: 'guard', tables: ['probe'], interfaces: ['ProbeOptions'], defaults: parse(probeOptions, {}, '') },
  {
    short: 'guard',
    tables: ['anonymity'],
    interfaces: ['AnonymityOptions'],
    defaults: { ...parse(anonymityOptions, {}, ''), origins: false, bodies: false },
  },
  {
    short: 'guard',
    tables: ['expectNoLeak'],
    interfaces: ['NoLeakOptions'],
    defaults: { host: 'public.example', paths: ['/'], malformed: true, timeout: 2_000, connections: 8 },
  },
  { short: 'sluice', tables: [0], interfaces: ['ProxyOptions', 'UpstreamOptions'] },
  {
    short: 'sluice',
    tables: ['guard'],
    interfaces: ['GuardOptions', 'LimitOptions'],
    defaults: { validate: true, shed: false, anonymity: false },
  },
  { short: 'sluice', tables: ['limits'], interfaces: ['LimitOptions'] },
  { short: 'sluice', tables: ['tls'], interfaces: ['TlsOptions'], defaults: { http2: true } },
]

/** For tests, and no settings of a person's. */
const seams = ['clock', 'now', 'random']

describe('the check itself', () => {
  it('reads rows of several names', () => {
    const page =
      "| option of `x` | default | |\n|---|---|---|\n| `a.b` `c` | 1s 2 | a \\| b |\n| `.d` | `'x'` | |\n\n"
    expect(tablesOf(page)).toEqual([
      [
        { names: ['a.b', 'c'], says: ' 1s 2 ' },
        { names: ['d'], says: " `'x'` " },
      ],
    ])
  })

  it.each([
    ['5s', 5_000, true],
    ['5 s', 5_000, true],
    ['15s', 5_000, false],
    ['5s', 5, false],
    ["`'64kb'`", 65_536, true],
    ['Default 0.1.', 0.1, true],
    ['0.15', 0.1, false],
    ['off', false, true],
    ['GET HEAD', ['GET', 'HEAD'], true],
    ['GET', ['GET', 'HEAD'], false],
    ['{ min: 1, max: 2 }', { min: 1, max: 3 }, false],
  ])('%j tells %j: %j', (text, value, is) => expect(tells(text, value)).toBe(is))
})

const shownOn = (short: string, tables: readonly (number | string)[]): Row[] => {
  const page = read(`packages/${short}/README.md`)
  const found = tablesOf(page)
  const headings = [...page.matchAll(/^\| option(?: of `(\w+)`)?[^\n]*\n\|[-|]+\n/gm)].map(([, of]) => of)
  return tables.flatMap((at) => found[typeof at === 'number' ? at : headings.indexOf(at)] ?? [])
}
const documentedIn = (short: string, interfaces: readonly string[]): Documented[] =>
  interfaces.flatMap((name) => interfaceOf(short, name)).filter(({ name }) => !seams.includes(name))

describe.each(cases.filter(({ tables }) => tables.length > 0))('$short, the table of $interfaces', (one) => {
  const { defaults = {}, inTable = defaults, interfaces, short, tables } = one
  const rows = shownOn(short, tables)

  it('has the same options', () => {
    const named = rows
      .flatMap(({ names }) => names)
      .map((name) => name.replace(/^upstreams\.NAME$/, 'upstreams'))
    const documented = documentedIn(short, interfaces).map(({ name }) => name)
    expect([...new Set(named)].sort()).toEqual([...new Set(documented)].sort())
  })

  it('tells the defaults that hold', () => {
    const wrong = rows.filter(({ names, says }) => names.some((name) => !tells(says, inTable[name as never])))
    expect(wrong.filter(({ says }) => !says.includes('as above'))).toEqual([])
  })
})

describe.each(cases)('$short, the docstrings of $interfaces', ({ defaults = {}, interfaces, short }) => {
  it('tell the defaults that hold', () => {
    const wrong = documentedIn(short, interfaces).filter(
      ({ name, text }) => !tells(/default.*/is.exec(text)?.[0] ?? '', defaults[name as never]),
    )
    expect(wrong).toEqual([])
  })
})

describe('createProxy', () => {
  /** The names in an error: those of the schema. */
  function namesIn(options: unknown): string[] {
    try {
      createProxy(options as never)
      return []
    } catch (error) {
      return (/\{ ([\w, ]+) \}/.exec((error as Error).message)?.[1] ?? '').split(', ').sort()
    }
  }

  it.each([
    ['ProxyOptions', 3],
    ['UpstreamOptions', { upstreams: { a: 3 } }],
    ['RouteOptions', { upstreams: { a: 'http://a' }, routes: [3] }],
  ])('takes what %s has', (name, wrong) => {
    const own = interfaceOf('sluice', name).map((each) => each.name)
    const inherited =
      name === 'RouteOptions' ? interfaceOf('route', 'RouteMatch').map((each) => each.name) : []
    expect(namesIn(wrong)).toEqual([...own, ...inherited].sort())
  })
})
