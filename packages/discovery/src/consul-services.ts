import type { TargetTls } from '@sluice/upstream'
import { urlOf } from './discovery-options.js'
import type { FoundTarget } from './feed.js'

/** What is read of an entry of Consul's answer (https://developer.hashicorp.com/consul/api-docs/health); any of it may be missing. */
interface Entry {
  Node?: { Address?: unknown; Locality?: { Zone?: unknown } | null } | null
  Service?: {
    Address?: unknown
    Port?: unknown
    Weights?: { Passing?: unknown; Warning?: unknown } | null
    Locality?: { Zone?: unknown } | null
  } | null
  Checks?: readonly ({ Status?: unknown } | null)[] | null
}

/** Which instances of a service are targets, by their checks: the worst counts. */
export type ConsulHealth = 'passing' | 'warning' | 'any'

/** How entries become targets. */
interface ServiceSettings {
  readonly scheme: string
  readonly path: string
  readonly health: ConsulHealth
  readonly tls?: object | undefined
}

/** A weight of 0 is in Consul, as in SRV records, the least there is; a target has none below that. */
const verySmall = 0.01

/**
 * The targets in an answer, and what is wrong with entries that are none.
 * @throws Error for what is no answer of Consul's
 */
export function consulServices(text: string, settings: ServiceSettings): [FoundTarget[], string[]] {
  const entries = JSON.parse(text) as (Entry | null)[]
  if (!Array.isArray(entries)) throw new Error('the answer is no list of services')
  const targets: FoundTarget[] = []
  const faults: string[] = []
  for (const entry of entries) {
    const node = entry?.Node ?? {}
    const service = entry?.Service ?? {}
    const statuses = (entry?.Checks ?? []).map((check) => check?.Status)
    const warns = statuses.includes('warning')
    const fails = statuses.some((status) => status !== 'passing' && status !== 'warning')
    if (settings.health === 'warning' && fails) continue
    // Without an address of its own an instance is at its node's.
    const host = String(service.Address || node.Address || '')
    const url = urlOf(settings.scheme, host, Number(service.Port), settings.path)
    if (url === undefined) {
      faults.push(`${JSON.stringify(host)} with port ${service.Port} is no address`)
      continue
    }
    const zone = service.Locality?.Zone ?? node.Locality?.Zone
    targets.push({
      url,
      weight: weightOf(warns ? service.Weights?.Warning : service.Weights?.Passing),
      priority: 0,
      ...(typeof zone === 'string' && zone !== '' ? { zone } : {}),
      ...(settings.tls === undefined ? {} : { tls: settings.tls as TargetTls }),
    })
  }
  return [targets, faults]
}

function weightOf(weight: unknown): number {
  if (typeof weight !== 'number' || !Number.isFinite(weight)) return 1
  return weight > 0 ? weight : verySmall
}
