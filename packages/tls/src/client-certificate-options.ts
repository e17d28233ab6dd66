import type { X509Certificate } from 'node:crypto'
import { type CidrSet, cidrSet, fault, parse, secret, that, v } from '@sluice/options'
import { readAuthorities } from './issuer-chain.js'
import { type XfccField, xfccFields } from './xfcc.js'

/** Options of `clientCertificate`. */
export interface ClientCertificateOptions {
  /** Requests without a certificate that was verified are refused with 403. Default false: they pass without one. */
  required?: boolean
  /** What targets are told of it. Default nothing. */
  pass?: PassedCertificate
  /**
   * CIDR ranges of one's own proxies that end TLS: what they say of a certificate counts as if it was verified here. They have to remove
   * what clients send in these fields; one that doesn't lets clients be anybody. Default none.
   */
  trust?: readonly string[]
  /** The clock, in ms since 1970. Default `Date.now`. */
  now?: () => number
}

/** How targets hear of a client's certificate. */
export interface PassedCertificate {
  /** `Client-Cert` (RFC 9440), the whole certificate. Default false. */
  clientCert?: boolean
  /**
   * Certificates of authorities (PEM), of which `Client-Cert-Chain` and the `Chain` of `xfcc` are made: intermediate ones, and roots if
   * targets want them. Default none: there is no chain.
   */
  chain?: string | Buffer | readonly (string | Buffer)[]
  /** Envoy's `X-Forwarded-Client-Cert`: `Hash`, and of `'Cert'`, `'Chain'`, `'Subject'`, `'URI'` and `'DNS'` those named. Default: not written. */
  xfcc?: readonly XfccField[]
}

/** {@link ClientCertificateOptions} made ready. */
export interface ClientCertificateSettings {
  readonly required: boolean
  readonly clientCert: boolean
  readonly xfcc: readonly XfccField[] | undefined
  readonly authorities: readonly X509Certificate[]
  readonly proxies: CidrSet | undefined
  readonly now: () => number
}

const isPem = (value: unknown): boolean => typeof value === 'string' || Buffer.isBuffer(value)
const isPems = (value: unknown): boolean => (Array.isArray(value) ? value.every(isPem) : isPem(value))

const optionsSchema = v.strictObject({
  required: v.optional(v.boolean(), false),
  pass: v.optional(
    v.strictObject({
      clientCert: v.optional(v.boolean(), false),
      chain: v.optional(
        secret<string | Buffer | readonly (string | Buffer)[]>(
          isPems,
          'certificates of authorities (PEM), or a list of them',
        ),
      ),
      xfcc: v.optional(
        v.array(
          that<XfccField>(
            (value) => xfccFields.includes(value as XfccField),
            xfccFields.map((field) => `'${field}'`).join(', '),
          ),
        ),
      ),
    }),
    {},
  ),
  // Its entries are read where the set is made, which names each wrong one.
  trust: v.optional(v.any()),
  now: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function that gives ms since 1970'),
  ),
})

/** @throws TypeError for a wrong option, and for one that would have no effect */
export function resolveClientCertificate(
  options: ClientCertificateOptions,
  path: string,
): ClientCertificateSettings {
  const { required, pass, trust, now = Date.now } = parse(optionsSchema, options, path)
  const { clientCert, chain, xfcc } = pass
  const at = (option: string): string => (path === '' ? option : `${path}.${option}`)
  const told = clientCert || xfcc?.includes('Chain') === true
  if (chain !== undefined && !told)
    throw new TypeError(
      fault(at('pass.chain'), 'certificates', "nothing without clientCert or an xfcc with 'Chain'"),
    )
  if (chain === undefined && xfcc?.includes('Chain') === true)
    throw new TypeError(
      fault(
        at('pass.xfcc'),
        "'Chain' without pass.chain",
        'it with the certificates that chains are made of',
      ),
    )
  const ranges = (trust ?? []) as readonly string[]
  return {
    required,
    clientCert,
    xfcc,
    authorities: chain === undefined ? [] : readAuthorities(chain, at('pass.chain')),
    proxies: ranges.length === 0 ? undefined : cidrSet(ranges, at('trust')),
    now,
  }
}
