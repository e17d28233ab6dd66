import { shortOr, v } from '@sluice/options'
import { type BasicAuthOptions, basicAuthOptions } from './basic-auth-options.js'
import { beside } from './beside.js'
import { type CorsOptions, corsOptions } from './cors-options.js'
import { type ForwardAuthOptions, forwardAuthOptions } from './forward-auth-options.js'
import { type JwtOptions, jwtOptions } from './jwt-options.js'
import { type MaintenanceOptions, maintenanceOptions } from './maintenance-options.js'
import { type RequestIdOptions, requestIdOptions } from './request-id-options.js'
import { type SecurityHeadersOptions, securityHeadersOptions } from './security-headers-options.js'
import { type SignedUrlOptions, signedUrlOptions } from './signed-url-options.js'

/** Who may pass, and what browsers are told of it. What isn't named is off. Of several all have to let a request pass. */
export interface AccessOptions {
  /** Ids of requests, for logs of all who serve one. Default false. */
  requestId?: boolean | RequestIdOptions
  /** Fields that tell browsers to be careful. Default false. */
  securityHeaders?: boolean | SecurityHeadersOptions
  /** The site is closed. Default: it is open. */
  maintenance?: MaintenanceOptions
  /** Whose pages may read answers. Default: targets say so. */
  cors?: CorsOptions
  /** User and password. Not together with `jwt`, which reads the same field. */
  basic?: BasicAuthOptions
  /** Bearer tokens. Not together with `basic`. */
  jwt?: JwtOptions
  /** Another service decides. */
  forwardAuth?: ForwardAuthOptions
  /** URLs that are signed, until a time. */
  signedUrl?: SignedUrlOptions
}

const object = v.strictObject({
  requestId: v.optional(shortOr(v.boolean(), 'true or false', requestIdOptions)),
  securityHeaders: v.optional(shortOr(v.boolean(), 'true or false', securityHeadersOptions)),
  maintenance: v.optional(maintenanceOptions),
  cors: v.optional(corsOptions),
  basic: v.optional(basicAuthOptions),
  jwt: v.optional(jwtOptions),
  forwardAuth: v.optional(forwardAuthOptions),
  signedUrl: v.optional(signedUrlOptions),
})

/** Schema of {@link AccessOptions}. */
export const accessOptions = v.pipe(
  object,
  beside<v.InferOutput<typeof object>>(
    'jwt',
    ({ basic, jwt }) => basic === undefined || jwt === undefined,
    'nothing beside basic: both read Authorization',
  ),
)
