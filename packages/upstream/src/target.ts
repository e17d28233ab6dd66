import { show } from './show.js'
import { readTls, type TargetTls } from './target-tls.js'
import { normaliseUrl } from './target-url.js'

/** Where a target stands. `unknown` until its first probe, if it is probed at all. */
export type TargetState = 'unknown' | 'healthy' | 'unhealthy' | 'ejected' | 'draining'

/** One address with its weight and its live state. */
export interface Target {
  /** Stable: default the normalised URL. */
  readonly id: string
  readonly url: string
  /** Its share in relation to the others'. */
  readonly weight: number
  /** 0 is used first, 1 when no 0 is available, and so on. */
  readonly priority: number
  readonly zone?: string
  /** How to speak TLS to it; only with an `https:` URL. It holds keys, so no listing of a target shows it. */
  readonly tls?: TargetTls
  /** Leases held now. */
  readonly inFlight: number
  /** How many of those have the head of their answer: its body flows, or a tunnel is open. The others wait for it. */
  readonly answering: number
  /** Leases taken so far. Who notes it knows by `lease.nth` which began later; no clock tells, since many begin in a millisecond. */
  readonly leased: number
  /** Time to the head of an answer, in ms: an average that forgets over about ten seconds. 0 before the first. */
  readonly ewma: number
  readonly state: TargetState
  /** It has said that it would rather not: it is used when no other is left. */
  readonly degraded: boolean
  /** When it came back or joined, in ms of the upstream's clock; `-Infinity` for one that was there from the beginning. */
  readonly since: number
}

/** A target as a user writes it. */
export type TargetInit =
  | string
  | {
      /** `http:`, `https:` or `unix:`. A path is put before each request's. */
      url: string
      /** What it is known by in events, cookies and keys, whatever becomes of its URL. Default the normalised URL. */
      id?: string
      /** Its share in relation to the others'; above 0. Default 1. */
      weight?: number
      /** A whole number: 0 is used first, 1 when no 0 may be asked, and so on. Default 0. */
      priority?: number
      /** Where it stands, for `preferZone`. Default none. */
      zone?: string
      /** For an `https:` URL. Default the upstream's; it replaces that as a whole. */
      tls?: TargetTls
    }

/** A {@link TargetInit} with its defaults. */
export interface TargetSettings {
  readonly id: string
  readonly url: string
  readonly weight: number
  readonly priority: number
  readonly zone: string | undefined
  readonly tls: TargetTls | undefined
}

const known = ['url', 'id', 'weight', 'priority', 'zone', 'tls']

/**
 * Reads a list of targets.
 * @param path where the list stands in what the user wrote
 * @param tls for `https:` targets without settings of their own
 * @param alone it is one target that the user wrote, in no list
 * @throws TypeError with a line for every fault
 */
export function readTargets(
  list: readonly TargetInit[],
  path: string,
  tls: TargetTls | undefined,
  alone = false,
): TargetSettings[] {
  if (!Array.isArray(list))
    throw new TypeError(`${path}: got ${show(list)}, takes a list of URLs such as ['http://127.0.0.1:3000']`)
  const faults: string[] = []
  const settings: TargetSettings[] = []
  const ids = new Map<string, number>()
  const urls = new Map<string, number>()
  list.forEach((init: unknown, i) => {
    const where = alone ? path : `${path}[${i}]`
    const target = readTarget(init, where, tls, faults)
    if (target === undefined) return
    const { id, url } = target
    if (urls.has(url))
      faults.push(`${where}: got ${show(url)} again, as in ${path}[${urls.get(url)}]; takes each target once`)
    else if (ids.has(id))
      faults.push(
        `${where}.id: got ${show(id)} again, as in ${path}[${ids.get(id)}]; takes a name of its own`,
      )
    urls.set(url, i)
    ids.set(id, i)
    settings.push(target)
  })
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  return settings
}

function readTarget(
  init: unknown,
  path: string,
  defaultTls: TargetTls | undefined,
  faults: string[],
): TargetSettings | undefined {
  const before = faults.length
  const short = typeof init === 'string' || init instanceof URL
  const given = (short ? { url: init } : init) as Record<string, unknown> | null
  if (typeof given !== 'object' || given === null) {
    faults.push(`${path}: got ${show(init)}, takes a URL or { ${known.join(', ')} }`)
    return undefined
  }
  for (const key of Object.keys(given))
    if (!known.includes(key)) faults.push(`${path}.${key}: unknown option, takes { ${known.join(', ')} }`)
  const { id, weight = 1, priority = 0, zone } = given
  const at = short ? path : `${path}.url`
  const url = normaliseUrl(given['url'], at, faults)
  if (!isNumber(weight) || weight <= 0)
    faults.push(`${path}.weight: got ${show(weight)}, takes a number above 0`)
  if (!Number.isInteger(priority) || (priority as number) < 0) {
    faults.push(`${path}.priority: got ${show(priority)}, takes a whole number, 0 or more`)
  }
  if (id !== undefined && (typeof id !== 'string' || id === ''))
    faults.push(`${path}.id: got ${show(id)}, takes a name`)
  if (zone !== undefined && typeof zone !== 'string')
    faults.push(`${path}.zone: got ${show(zone)}, takes a name`)
  const secure = url?.startsWith('https:') === true
  const own = given['tls'] === undefined ? undefined : readTls(given['tls'], `${path}.tls`, faults)
  if (own !== undefined && url !== undefined && !secure)
    faults.push(`${path}.tls: got settings for a target without TLS, takes them with an 'https:' URL`)
  if (faults.length > before || url === undefined) return undefined
  return {
    id: (id as string | undefined) ?? url,
    url,
    weight: weight as number,
    priority: priority as number,
    zone: zone as string | undefined,
    tls: secure ? (own ?? defaultTls) : undefined,
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
