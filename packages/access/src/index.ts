export { type AccessLayers, accessLayers } from './access-layers.js'
export { type AccessOptions, accessOptions } from './access-options.js'
export { basicAuth, type User } from './basic-auth.js'
export { type BasicAuthOptions, basicAuthOptions, type CheckPassword } from './basic-auth-options.js'
export type { PolicyDirectives } from './content-security-policy.js'
export { cors } from './cors.js'
export { type CorsOptions, corsOptions } from './cors-options.js'
export { forwardAuth } from './forward-auth.js'
export { type ForwardAuthOptions, forwardAuthOptions } from './forward-auth-options.js'
export { hashPassword } from './hash-password.js'
export { type Claims, jwt } from './jwt.js'
export { type JwtAlgorithm, type JwtOptions, jwtOptions } from './jwt-options.js'
export { maintenance } from './maintenance.js'
export { type MaintenanceOptions, maintenanceOptions } from './maintenance-options.js'
export { type RequestId, requestId } from './request-id.js'
export { type RequestIdOptions, requestIdOptions } from './request-id-options.js'
export { securityHeaders } from './security-headers.js'
export {
  type ContentSecurityPolicyOptions,
  type ReferrerPolicy,
  type SecurityHeadersOptions,
  type StrictTransportSecurityOptions,
  securityHeadersOptions,
} from './security-headers-options.js'
export { type SignUrlOptions, signUrl } from './sign-url.js'
export { signedUrl } from './signed-url.js'
export { type SignedUrlOptions, signedUrlOptions } from './signed-url-options.js'
export { withoutIdentities } from './without-identities.js'
