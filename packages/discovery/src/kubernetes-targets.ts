import {
  type Duration,
  duration,
  fault,
  integer,
  oneOf,
  parse,
  positiveDuration,
  quote,
  that,
  v,
} from '@sluice/options'
import type { Discovery, TargetTls } from '@sluice/upstream'
import { apiEntries } from './api-options.js'
import {
  type CommonOptions,
  checkTargetTls,
  commonEntries,
  type DiscoverySeams,
  type RetryOptions,
  retryEntries,
  schemeEntries,
  seamsOf,
  tlsEntry,
} from './discovery-options.js'
import { Feed } from './feed.js'
import { KubernetesApi, type KubernetesApiOptions } from './kubernetes-api.js'
import { Rounds } from './rounds.js'
import { ServiceSlices } from './service-slices.js'

/** Options of {@link kubernetesTargets}. */
export interface KubernetesOptions extends CommonOptions, RetryOptions {
  /** The Service whose endpoints are wanted. */
  service: string
  /** Default the pod's own, or `'default'` outside of one. */
  namespace?: string
  /** By the name that it has in the Service, or by its number in the pods, which is the Service's `targetPort`. Default the only one. */
  port?: string | number
  /** Default `'https'` where the port's `appProtocol` says so, else `'http'`. */
  scheme?: 'http' | 'https'
  /** Put before the path of each request, such as `'/base'`. Default none. */
  path?: string
  /** Which addresses of a dual-stack service. Default IPv4 where it has any. */
  addressType?: 'IPv4' | 'IPv6' | 'FQDN'
  /** Default the cluster that the process is in. */
  api?: KubernetesApiOptions
  /** How long one watch lasts; by chance up to twice that. Default 5m. */
  watch?: Duration
  /** Least time between two sets, so that a roll-out of many pods is few changes: the first comes at once. Default 200ms. */
  pause?: Duration
  /** How to speak TLS to the targets. Replaces the upstream's `tls` as a whole. Default the upstream's. */
  tls?: TargetTls
}

/** A name as Kubernetes has it (RFC 1123 label; of a Service RFC 1035). */
const label = that<string>(
  (value) => typeof value === 'string' && /^[a-z\d]([a-z\d-]{0,61}[a-z\d])?$/.test(value),
  "a name of Kubernetes', such as 'web'",
)

const kubernetesOptions = v.strictObject({
  ...commonEntries,
  ...retryEntries,
  service: label,
  namespace: v.optional(label),
  port: v.optional(v.union([integer(1, 65_535), label], "a port's name or number")),
  scheme: v.optional(oneOf('http', 'https')),
  path: schemeEntries.path,
  addressType: v.optional(oneOf('IPv4', 'IPv6', 'FQDN')),
  api: v.optional(v.strictObject({ ...apiEntries, serviceAccount: v.optional(v.string()) }), {}),
  watch: v.optional(
    v.pipe(
      duration(),
      v.check((ms) => ms >= 1_000 && ms <= 3_600_000, 'from 1s to 1h'),
    ),
    300_000,
  ),
  pause: v.optional(positiveDuration(), 200),
  tls: tlsEntry,
})

/**
 * The endpoints of a Service in Kubernetes, from its EndpointSlices: those that are ready, with their zones.
 * They are listed, then watched
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). In a pod the server, the token and
 * its authority are those of the service account, which has to be allowed to `list` and `watch` `endpointslices` of `discovery.k8s.io`
 * in that namespace.
 *
 * While the server can't be reached the last targets stay. Until the first list there are no targets, and requests get 503.
 * @throws TypeError for a wrong option, or outside of a pod without `api.url`
 */
export function kubernetesTargets(options: KubernetesOptions, seams: DiscoverySeams = {}): Discovery {
  const where = 'kubernetesTargets'
  if (typeof options !== 'object' || options === null)
    throw new TypeError(fault(where, quote(options), "options such as { service: 'web' }"))
  const settings = parse(kubernetesOptions, options, where)
  const api = new KubernetesApi(
    settings.api as ConstructorParameters<typeof KubernetesApi>[0],
    `${where}.api`,
  )
  checkTargetTls({ scheme: 'https', tls: settings.tls }, where)
  const all = seamsOf(seams)
  const { empty, namespace, service } = settings
  return {
    watch(fn) {
      const feed = new Feed(
        `kubernetes ${namespace === undefined ? '' : `${namespace}/`}${service}`,
        empty,
        fn,
      )
      const slices = new ServiceSlices(api, settings, feed, all)
      return new Rounds((signal, works) => slices.round(signal, works), feed, settings.retry, all).start()
    },
  }
}
