export { format } from './format.js'
export type { Endpoint, ProxyHeader, Tlv } from './header.js'
export { longestBlock } from './limits.js'
export { type Parsed, parse } from './parse.js'
