export { type ProbeReport, type ProbeResult, probe } from './probe.js'
export type { ProbeLevel, ProbeVerdict } from './probe-case.js'
export { type ProbeOptions, probeOptions } from './probe-options.js'
