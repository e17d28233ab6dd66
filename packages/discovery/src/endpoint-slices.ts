import type { TargetTls } from '@sluice/upstream'
import { urlOf } from './discovery-options.js'
import type { FoundTarget } from './feed.js'

/** What is read of an EndpointSlice (discovery.k8s.io/v1); any of it may be missing or null. */
export interface EndpointSlice {
  metadata?: { name?: string; resourceVersion?: string }
  addressType?: string
  endpoints?: readonly Endpoint[] | null
  ports?: readonly SlicePort[] | null
}

interface Endpoint {
  addresses?: readonly string[] | null
  conditions?: { ready?: boolean | null; serving?: boolean | null; terminating?: boolean | null } | null
  zone?: string | null
}

interface SlicePort {
  name?: string | null
  port?: number | null
  protocol?: string | null
  appProtocol?: string | null
}

/** How endpoints become targets. */
export interface SliceSettings {
  readonly port?: string | number | undefined
  /** Default by the port's `appProtocol`. */
  readonly scheme?: 'http' | 'https' | undefined
  readonly path: string
  readonly addressType?: string | undefined
  readonly tls?: object | undefined
}

/** In this order, where a service has endpoints of several: each pod of a dual-stack service is in slices of both. */
const addressTypes = ['IPv4', 'IPv6', 'FQDN']

/**
 * The slices of one service, merged.
 *
 * An endpoint is used while it is ready; unknown counts as ready. Where none is, those are used that still serve while they end,
 * as kube-proxy does (KEP-1669). An endpoint may be in two slices while Kubernetes moves it: it counts once.
 */
export class EndpointSlices {
  private slices = new Map<string, EndpointSlice>()

  /** Puts a whole list in place. */
  reset(list: readonly EndpointSlice[]): void {
    this.slices = new Map(list.map((slice) => [nameOf(slice), slice]))
  }

  put(slice: EndpointSlice): void {
    this.slices.set(nameOf(slice), slice)
  }

  remove(slice: EndpointSlice): void {
    this.slices.delete(nameOf(slice))
  }

  /** The targets, and what is wrong with slices that give none. */
  targets(settings: SliceSettings): [FoundTarget[], string[]] {
    const faults: string[] = []
    const ready = new Map<string, FoundTarget>()
    const ending = new Map<string, FoundTarget>()
    for (const slice of this.ofOneType(settings.addressType)) {
      const { endpoints } = slice
      if (endpoints === undefined || endpoints === null || endpoints.length === 0) continue
      const port = portOf(slice, settings)
      if (typeof port === 'string') {
        faults.push(port)
        continue
      }
      for (const endpoint of endpoints) {
        const list = listOf(endpoint, ready, ending)
        if (list === undefined) continue
        const target = targetOf(endpoint, port, settings)
        if (typeof target === 'string') faults.push(target)
        else list.set(target.url, target)
      }
    }
    return [[...(ready.size > 0 ? ready : ending).values()], faults]
  }

  private ofOneType(wanted: string | undefined): EndpointSlice[] {
    const all = [...this.slices.values()]
    const filled = (type: string) =>
      all.some(({ addressType, endpoints }) => addressType === type && (endpoints ?? []).length > 0)
    const type = wanted ?? addressTypes.find(filled)
    return all.filter(({ addressType }) => addressType === type)
  }
}

function nameOf({ metadata }: EndpointSlice): string {
  return metadata?.name ?? ''
}

function listOf<T>({ conditions }: Endpoint, ready: T, ending: T): T | undefined {
  const isReady = conditions?.ready ?? true
  if (isReady) return ready
  const serves = conditions?.serving ?? isReady
  return serves && conditions?.terminating === true ? ending : undefined
}

/** The port that is meant, or what speaks against each. */
function portOf(slice: EndpointSlice, { port: wanted, scheme }: SliceSettings): SlicePort | string {
  const ports = (slice.ports ?? []).filter(
    ({ port, protocol }) => typeof port === 'number' && (protocol ?? 'TCP') === 'TCP',
  )
  const [fit, ...others] = ports.filter(
    ({ name, port }) =>
      wanted === undefined || (typeof wanted === 'number' ? port === wanted : name === wanted),
  )
  const shown = ports.map(({ name, port }) => `${name ?? ''}:${port}`).join(', ')
  if (fit === undefined)
    return `${nameOf(slice)} has ${ports.length === 0 ? 'no TCP port' : `no port ${wanted}, but ${shown}`}`
  // Two ports of a Service (80 and 443, say) often lead to one of its pods.
  const same = (port: SlicePort): boolean =>
    port.port === fit.port && schemeOf(port, scheme) === schemeOf(fit, scheme)
  return others.every(same)
    ? fit
    : `${nameOf(slice)} has the ports ${shown}: say by the name in \`port\` which`
}

function schemeOf({ appProtocol }: SlicePort, given: SliceSettings['scheme']): 'http' | 'https' {
  return given ?? (appProtocol === 'https' ? 'https' : 'http')
}

function targetOf(endpoint: Endpoint, port: SlicePort, settings: SliceSettings): FoundTarget | string {
  const { path, tls } = settings
  const scheme = schemeOf(port, settings.scheme)
  // All addresses of an endpoint are alike, and the first is the one to use (API reference of EndpointSlice).
  const host = endpoint.addresses?.[0] ?? ''
  const url = urlOf(scheme, host, port.port ?? 0, path)
  if (url === undefined) return `${JSON.stringify(host)} with port ${port.port} is no address`
  const { zone } = endpoint
  return {
    url,
    weight: 1,
    priority: 0,
    ...(typeof zone === 'string' && zone !== '' ? { zone } : {}),
    ...(tls !== undefined && scheme === 'https' ? { tls: tls as TargetTls } : {}),
  }
}
