import { type Duration, duration, oneOf, parse, positiveDuration, that, v } from '@sluice/options'
import { createTarget, type Discovery, type TargetTls } from '@sluice/upstream'
import { ApiRefusal, askApi } from './api-client.js'
import { type ApiOptions, apiEntries, tokenOf } from './api-options.js'
import { type ConsulHealth, consulServices } from './consul-services.js'
import {
  type CommonOptions,
  checkTargetTls,
  commonEntries,
  type DiscoverySeams,
  needName,
  type RetryOptions,
  retryEntries,
  type SchemeOptions,
  schemeEntries,
  seamsOf,
  tlsEntry,
} from './discovery-options.js'
import { Feed } from './feed.js'
import { Rounds } from './rounds.js'

/** Options of {@link consulTargets}. */
export interface ConsulOptions extends CommonOptions, RetryOptions, SchemeOptions {
  /** Default the agent at `http://127.0.0.1:8500`. Its token goes out as `X-Consul-Token`. */
  api?: ApiOptions
  /** Default the agent's own. */
  datacenter?: string
  /** An instance has to have all of them. Default none. */
  tags?: readonly string[]
  /** A filter expression of Consul's, such as `'Service.Meta.env == "prod"'`. Default none. */
  filter?: string
  /** Of Consul Enterprise. Default the token's. */
  namespace?: string
  /** Of Consul Enterprise. Default the agent's. */
  partition?: string
  /** `'passing'` (default), `'warning'` for those and the ones with a warning, `'any'` for all: then something else has to probe. */
  health?: ConsulHealth
  /** How long a question waits for a change: up to 10m. Default 5m. */
  wait?: Duration
  /** Least time between an answer and the next question, so that a service in turmoil costs the agent little. Default 200ms. */
  pause?: Duration
  /** How to speak TLS to the targets, with `scheme: 'https'`. Replaces the upstream's `tls` as a whole. Default the upstream's. */
  tls?: TargetTls
}

const named = v.optional(
  that<string>((value) => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value), 'a name without blanks'),
)

const consulOptions = v.strictObject({
  ...commonEntries,
  ...retryEntries,
  ...schemeEntries,
  api: v.optional(v.strictObject(apiEntries), {}),
  datacenter: named,
  tags: v.optional(v.array(v.string()), []),
  filter: v.optional(v.string()),
  namespace: named,
  partition: named,
  health: v.optional(oneOf('passing', 'warning', 'any'), 'passing'),
  wait: v.optional(
    v.pipe(
      duration(),
      v.check((ms) => ms >= 1_000 && ms <= 600_000, 'from 1s to 10m'),
    ),
    300_000,
  ),
  pause: v.optional(positiveDuration(), 200),
  tls: tlsEntry,
})

/**
 * The instances of a service in Consul's catalog, by blocking queries on `/v1/health/service/:service`: each answer comes when
 * something changes. Weights are those of the registration (`Service.Weights`), the one for warnings where a check warns.
 *
 * index (https://developer.hashicorp.com/consul/api-docs/features/blocking): none at first; then `X-Consul-Index` of the last
 * answer; none again when that goes back or is not above 0, and after a failure
 *
 * When a question fails the last targets stay, and it is asked again. Until the first answer there are no targets, and requests
 * get 503.
 * @throws TypeError for a wrong name or option
 */
export function consulTargets(
  service: string,
  options: ConsulOptions = {},
  seams: DiscoverySeams = {},
): Discovery {
  const where = 'consulTargets'
  needName(service, where, 'web')
  const settings = parse(consulOptions, options, where)
  const { url = 'http://127.0.0.1:8500', tls, token, timeout } = settings.api
  const api = createTarget({ url, ...(tls === undefined ? {} : { tls }) }, `${where}.api`)
  checkTargetTls(settings, where)
  const all = seamsOf(seams)
  const query = queryOf(settings)
  return {
    watch(fn) {
      const feed = new Feed(`consul ${service}`, settings.empty, fn)
      let index = 0
      const round = async (signal: AbortSignal): Promise<number> => {
        const last = index
        index = 0
        const wait = last === 0 ? 0 : settings.wait
        const search = new URLSearchParams(query)
        if (last > 0) {
          search.set('index', String(last))
          search.set('wait', `${wait}ms`)
        }
        const path = `/v1/health/service/${encodeURIComponent(service)}?${search}`
        const headers = {
          accept: 'application/json',
          'x-consul-token': await tokenOf(token, { timeout, signal, after: all.after }),
        }
        // Consul adds up to a sixteenth to the wait, by chance.
        const limit = wait * (17 / 16) + timeout
        const answer = await askApi(api, { path, headers, headTimeout: limit, timeout: limit, signal }, all)
        if (answer.status !== 200) throw new ApiRefusal(path, answer)
        feed.deliverFit(...consulServices(answer.text, settings))
        const now = Number(answer.headers['x-consul-index'])
        if (!(now > 0)) throw new Error('the answer has no X-Consul-Index above 0')
        if (now >= last) index = now
        else feed.note(`the index went back from ${last} to ${now}`)
        return settings.pause
      }
      return new Rounds(round, feed, settings.retry, all).start()
    },
  }
}

function queryOf(settings: v.InferOutput<typeof consulOptions>): [string, string][] {
  const { datacenter, filter, health, namespace, partition, tags } = settings
  const given: [string, string | undefined][] = [
    ['passing', health === 'passing' ? 'true' : undefined],
    ['dc', datacenter],
    ['ns', namespace],
    ['partition', partition],
    ['filter', filter],
    ...tags.map((tag) => ['tag', tag] as [string, string]),
  ]
  return given.filter((pair): pair is [string, string] => pair[1] !== undefined)
}
