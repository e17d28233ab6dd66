import { type Duration, oneOf, shortOr, that, v } from '@sluice/options'
import { isDirectives, type PolicyDirectives } from './content-security-policy.js'

/** Options of {@link securityHeaders}: each field by the name that `helmet` has for it, `false` to leave it out. */
export interface SecurityHeadersOptions {
  /** Fields that the target has sent stay as they are, and only what it doesn't say is added. Default true; false: these take their place. */
  keep?: boolean
  /**
   * `Content-Security-Policy`: directives, over the defaults (`default-src 'self'` and others); `null` takes one away. Default true. Over plain
   * http it has no `upgrade-insecure-requests`.
   */
  contentSecurityPolicy?: boolean | ContentSecurityPolicyOptions
  /** `Cross-Origin-Embedder-Policy`. Default false. */
  crossOriginEmbedderPolicy?: false | 'require-corp' | 'credentialless' | 'unsafe-none'
  /** `Cross-Origin-Opener-Policy`. Default 'same-origin'. */
  crossOriginOpenerPolicy?: false | 'same-origin' | 'same-origin-allow-popups' | 'unsafe-none'
  /** `Cross-Origin-Resource-Policy`. Default 'same-origin'. */
  crossOriginResourcePolicy?: false | 'same-origin' | 'same-site' | 'cross-origin'
  /** `Origin-Agent-Cluster: ?1`. Default true. */
  originAgentCluster?: boolean
  /** `Referrer-Policy`; of several browsers take the last that they know. Default 'no-referrer'. */
  referrerPolicy?: false | ReferrerPolicy | readonly ReferrerPolicy[]
  /** `Strict-Transport-Security`, where the client has come by TLS; without it the target's own is taken off too. Default true. */
  strictTransportSecurity?: boolean | StrictTransportSecurityOptions
  /** `X-Content-Type-Options: nosniff`. Default true. */
  xContentTypeOptions?: boolean
  /** `X-DNS-Prefetch-Control`. Default 'off'. */
  xDnsPrefetchControl?: false | 'on' | 'off'
  /** `X-Download-Options: noopen`. Default true. */
  xDownloadOptions?: boolean
  /** `X-Frame-Options`. Default 'SAMEORIGIN'. */
  xFrameOptions?: false | 'SAMEORIGIN' | 'DENY'
  /** `X-Permitted-Cross-Domain-Policies`. Default 'none'. */
  xPermittedCrossDomainPolicies?: false | 'none' | 'master-only' | 'by-content-type' | 'all'
  /** `X-Powered-By` of targets is taken off. Default true. */
  xPoweredBy?: boolean
  /** `X-XSS-Protection: 0`, since what it turns off does harm. Default true. */
  xXssProtection?: boolean
}

/** Options of the field `Content-Security-Policy`. */
export interface ContentSecurityPolicyOptions {
  /** Values by directive, `'script-src'` or `scriptSrc`. Default none: the defaults alone. */
  directives?: PolicyDirectives
  /** The defaults count for what `directives` doesn't name. Default true. */
  useDefaults?: boolean
  /** Breaches are told of, and let pass: the field is `Content-Security-Policy-Report-Only`. Default false. */
  reportOnly?: boolean
}

/** Options of the field `Strict-Transport-Security`. */
export interface StrictTransportSecurityOptions {
  /** For how long browsers go by https alone. Default '8760h', a year. */
  maxAge?: Duration
  /** Counts for all subdomains too. Default true, as with `helmet`: switch it off where one of them has no TLS. */
  includeSubDomains?: boolean
  /** Asks for a place in the list that browsers come with. Default false. */
  preload?: boolean
}

/** What a `Referrer-Policy` may be. */
export type ReferrerPolicy = (typeof referrerPolicies)[number]

const referrerPolicies = [
  'no-referrer',
  'no-referrer-when-downgrade',
  'same-origin',
  'origin',
  'strict-origin',
  'origin-when-cross-origin',
  'strict-origin-when-cross-origin',
  'unsafe-url',
] as const

const offOr = <const T extends string>(...values: readonly T[]): v.GenericSchema<false | T> =>
  that<false | T>(
    (value) => value === false || values.includes(value as T),
    `false, ${values.map((value) => `'${value}'`).join(', ')}`,
  )

const referrer = oneOf(...referrerPolicies)

/** Schema of {@link SecurityHeadersOptions}. */
export const securityHeadersOptions = v.strictObject({
  keep: v.optional(v.boolean(), true),
  contentSecurityPolicy: v.optional(
    shortOr(
      v.boolean(),
      'true or false',
      v.strictObject({
        directives: v.optional(
          that<PolicyDirectives>(
            isDirectives,
            "texts or lists of some by the names of directives, keywords in quotes: { 'script-src': [\"'self'\"] }",
          ),
          {},
        ),
        useDefaults: v.optional(v.boolean(), true),
        reportOnly: v.optional(v.boolean(), false),
      }),
    ),
    true,
  ),
  crossOriginEmbedderPolicy: v.optional(offOr('require-corp', 'credentialless', 'unsafe-none'), false),
  crossOriginOpenerPolicy: v.optional(
    offOr('same-origin', 'same-origin-allow-popups', 'unsafe-none'),
    'same-origin',
  ),
  crossOriginResourcePolicy: v.optional(offOr('same-origin', 'same-site', 'cross-origin'), 'same-origin'),
  originAgentCluster: v.optional(v.boolean(), true),
  referrerPolicy: v.optional(
    v.lazy((value) =>
      Array.isArray(value)
        ? v.pipe(
            v.array(referrer),
            v.check((list) => list.length > 0, 'at least one policy'),
          )
        : offOr(...referrerPolicies),
    ) as v.GenericSchema<false | ReferrerPolicy | readonly ReferrerPolicy[]>,
    'no-referrer',
  ),
  strictTransportSecurity: v.optional(
    shortOr(
      v.boolean(),
      'true or false',
      v.strictObject({
        // In no timer, so it may be longer than those can hold.
        maxAge: v.optional(v.any() as v.GenericSchema<Duration>, '8760h'),
        includeSubDomains: v.optional(v.boolean(), true),
        preload: v.optional(v.boolean(), false),
      }),
    ),
    true,
  ),
  xContentTypeOptions: v.optional(v.boolean(), true),
  xDnsPrefetchControl: v.optional(offOr('on', 'off'), 'off'),
  xDownloadOptions: v.optional(v.boolean(), true),
  xFrameOptions: v.optional(offOr('SAMEORIGIN', 'DENY'), 'SAMEORIGIN'),
  xPermittedCrossDomainPolicies: v.optional(offOr('none', 'master-only', 'by-content-type', 'all'), 'none'),
  xPoweredBy: v.optional(v.boolean(), true),
  xXssProtection: v.optional(v.boolean(), true),
})
