import type { Upstream } from '@sluice/upstream'
import { type HealthOptions, monitorPart } from './health-options.js'
import { healthProbe } from './health-probe.js'
import { monitor } from './monitor.js'
import type { ProbeSeams } from './open-socket.js'

/**
 * Probes every target of an upstream as options say that come as data: the probe that `type` names, as often as `monitor` is told to. It
 * is `monitor` with `healthProbe`; dispose it to end that.
 * @throws TypeError for a wrong option, or what is no upstream
 */
export function healthCheck(
  upstream: Upstream,
  options: HealthOptions = {},
  seams: ProbeSeams = {},
): Disposable {
  return monitor(upstream, healthProbe(options, seams), monitorPart(options))
}
