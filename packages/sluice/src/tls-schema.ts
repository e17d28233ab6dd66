import { cidrSet, type Faults, fault, integer, parse, secret, shortOr, that, v } from '@sluice/options'
import type { ProxyProtocolOptions, TlsOptions } from './tls-option.js'

/** What the engines behind it read themselves. No error shows it: there may be keys in it. */
const inside = (takes: string) => secret<never>(isObject, takes)
const pem = secret<string | Buffer>((value) => typeof value === 'string' || Buffer.isBuffer(value), 'PEM')
const port = integer(0, 65_535)
const host = that<string>((value) => typeof value === 'string' && value !== '', 'an address')

/** `{ trust }`; its entries are read where the set is made, which names each wrong one. */
export const proxyProtocolOptions = v.strictObject({ trust: v.array(v.string()) })

const tlsOptions = v.strictObject({
  cert: v.optional(pem),
  key: v.optional(pem),
  passphrase: v.optional(secret((value) => typeof value === 'string', 'a text')),
  certificates: v.optional(inside('{ certFile, keyFile }, { cert, key }, a provider, or a list of them')),
  certificateOptions: v.optional(v.any()),
  acme: v.optional(inside('{ domains, agreeToTerms } and more')),
  preset: v.optional(v.any()),
  http2: v.optional(v.boolean()),
  client: v.optional(v.any()),
  ca: v.optional(v.any()),
  crl: v.optional(v.any()),
  // No shortOr, which shows what is neither: some give the secret itself.
  tickets: v.optional(secret((value) => value === false || isObject(value), 'false, or { secret }')),
  ocsp: v.optional(shortOr(v.boolean(), 'true, false', inside('options of ocspStapler()'))),
  hsts: v.optional(
    shortOr(v.boolean(), 'true, false', inside('{ maxAge, includeSubDomains, preload, keep }')),
  ),
  redirect: v.optional(
    shortOr(
      port,
      'a port',
      v.strictObject({ port, host: v.optional(host), to: v.optional(integer(1, 65_535)) }),
    ),
  ),
  proxyProtocol: v.optional(proxyProtocolOptions),
})

/** Notes what is wrong below `path` and none of the pieces that are made of it looks at. */
export function checkTls(options: TlsOptions, path: string, faults: Faults): void {
  faults.collect(() => parse(tlsOptions, options, path))
  const { cert, key, certificates, acme, proxyProtocol } = options
  faults.collect(() => {
    const given = [cert ?? key, certificates, acme].filter((each) => each !== undefined)
    if (given.length === 0)
      throw new TypeError(fault(path, 'no certificate', 'cert and key, certificates, or acme'))
    if ((cert ?? key) !== undefined && certificates !== undefined)
      throw new TypeError(
        fault(
          `${path}.certificates`,
          'them beside cert and key',
          'one of them: certificates has room for pairs',
        ),
      )
  })
  const where = `${path}.proxyProtocol`
  if (proxyProtocol !== undefined && !faults.has(where)) faults.collect(() => trusted(proxyProtocol, where))
}

/**
 * Whether an address is one's own load balancer's.
 * @throws TypeError for an entry that is no CIDR range
 */
export function trusted({ trust }: ProxyProtocolOptions, path: string): (address: string) => boolean {
  const ranges = cidrSet(trust, `${path}.trust`)
  return (address) => ranges.has(address)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
