export {
  type HealthOptions,
  type HttpProbeOptions,
  healthOptions,
  type MonitorOptions,
  type MonitorSettings,
  type ProbeSettings,
  resolveHealth,
  type StatusRange,
} from './health-options.js'
export { HealthState, type Verdict } from './health-state.js'
export { httpProbe } from './http-probe.js'
export { type MonitorSeams, monitor } from './monitor.js'
export type { Probe } from './probe.js'
