export {
  type AcceptProxyProtocolOptions,
  acceptProxyProtocol,
  type ProxyProtocolRefusal,
} from './accept-proxy-protocol.js'
export { beforeServed, type Gate } from './before-served.js'
export { firstBytes, type NoBeginning } from './first-bytes.js'
export { format } from './format.js'
export type { Endpoint, ProxyHeader, Tlv } from './header.js'
export { longestBlock } from './limits.js'
export { type Parsed, parse } from './parse.js'
export { proxyHeader } from './socket-header.js'
