export { createProxy } from './create-proxy.js'
export type { KeyedPolicyOption, PolicyKey, PolicyName, PolicyOption } from './policy-option.js'
export type { Proxy } from './proxy.js'
export type { ProxyOptions, RouteOptions, UpstreamOptions } from './proxy-options.js'
