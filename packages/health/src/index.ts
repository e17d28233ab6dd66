export type { Declaration } from './declaration.js'
export { type DeclaredOptions, declaredOptions } from './declared-options.js'
export { type EjectionSeams, ejection } from './ejection.js'
export {
  type EjectionOptions,
  type EjectionSettings,
  ejectionOptions,
  type FailurePercentOptions,
  type LatencyOptions,
  type LocalPercentOptions,
  resolveEjection,
  type SuccessRateOptions,
} from './ejection-options.js'
export { grpcProbe } from './grpc-probe.js'
export { healthCheck } from './health-check.js'
export {
  type GrpcProbeOptions,
  type HealthOptions,
  type HealthSettings,
  type HttpProbeOptions,
  healthOptions,
  type MonitorOptions,
  type MonitorSettings,
  type ProbeType,
  resolveHealth,
  type StatusRange,
} from './health-options.js'
export { healthProbe } from './health-probe.js'
export { HealthState, type Verdict } from './health-state.js'
export { httpProbe } from './http-probe.js'
export { http2Probe } from './http2-probe.js'
export { declared } from './middleware.js'
export { type MonitorSeams, monitor } from './monitor.js'
export type { Dial, ProbeSeams } from './open-socket.js'
export type { Probe } from './probe.js'
export { tcpProbe } from './tcp-probe.js'
export type { Timers } from './timers.js'
export { tlsProbe } from './tls-probe.js'
