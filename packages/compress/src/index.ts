export { type Coding, codings } from './coding.js'
export type { Timers } from './timers.js'
