import { grpcProbe } from './grpc-probe.js'
import { grpcPart, type HealthOptions, httpPart, resolveHealth } from './health-options.js'
import { httpProbe } from './http-probe.js'
import { http2Probe } from './http2-probe.js'
import type { ProbeSeams } from './open-socket.js'
import type { Probe } from './probe.js'
import { tcpProbe } from './tcp-probe.js'
import { tlsProbe } from './tls-probe.js'

/**
 * The probe that `type` names, for options that come as data.
 * @throws TypeError for a wrong option
 */
export function healthProbe(options: HealthOptions = {}, seams: ProbeSeams = {}): Probe {
  switch (resolveHealth(options).type) {
    case 'h2':
      return http2Probe(httpPart(options), seams)
    case 'tcp':
      return tcpProbe(seams)
    case 'tls':
      return tlsProbe(seams)
    case 'grpc':
      return grpcProbe(grpcPart(options), seams)
    case 'http':
      return httpProbe(httpPart(options), seams)
  }
}
