/**
 * Fields of answers by which servers, frameworks, caches, tracers and platforms tell who they are. A name that ends in `*` stands for all
 * that begin so.
 */
export const tellTales: readonly string[] = [
  'server',
  'server-timing',
  'via',
  'forwarded',
  'alt-svc',
  'cache-status',
  'proxy-status',
  'proxy-agent',
  'x-powered-*',
  'x-server*',
  'x-served-by',
  'x-backend*',
  'x-upstream*',
  'x-origin*',
  'x-target*',
  'x-node*',
  'x-host*',
  'x-instance*',
  'x-machine*',
  'x-pod*',
  'x-container*',
  'x-cluster*',
  'x-region*',
  'x-dc',
  'x-datacenter*',
  'x-forwarded-*',
  'x-real-*',
  'x-proxy*',
  'x-via',
  'x-router*',
  'x-lb*',
  'x-haproxy*',
  'x-nginx*',
  'x-accel-*',
  'x-sendfile*',
  'x-lighttpd-*',
  'x-reproxy-*',
  'x-apache*',
  'x-iis*',
  'x-tomcat*',
  'x-jetty*',
  'x-php*',
  'x-python*',
  'x-rack-*',
  'x-runtime*',
  'x-rails*',
  'x-django*',
  'x-symfony*',
  'x-laravel*',
  'x-aspnet*',
  'x-aspnetmvc*',
  'x-dotnet*',
  'x-sourcefiles',
  'x-generator*',
  'x-drupal*',
  'x-wp-*',
  'x-pingback',
  'x-redirect-by',
  'x-cms*',
  'x-version*',
  'x-app-version*',
  'x-application-context',
  'gitlab-*',
  'liferay-portal',
  'x-elastic-product',
  'x-influxdb-*',
  'x-clickhouse-*',
  'x-couch*',
  'x-minio-*',
  'x-magento-*',
  'x-nextjs-*',
  'x-build*',
  'x-release*',
  'x-commit*',
  'x-litespeed*',
  'x-turbo-charged-by',
  'x-mod-*',
  'x-page-speed',
  'x-varnish*',
  'x-cache*',
  'x-timer',
  'x-squid-*',
  'x-fastly*',
  'fastly-*',
  'x-served',
  'x-amz*',
  'x-amzn*',
  'x-azure-*',
  'x-ms-*',
  'x-goog-*',
  'x-guploader-*',
  'x-cloud-trace-context',
  'x-appengine-*',
  'x-vercel-*',
  'x-nf-*',
  'x-heroku-*',
  'fly-request-id',
  'x-render-*',
  'x-github-*',
  'x-akamai-*',
  'akamai-*',
  'x-cdn*',
  'cf-ray',
  'cf-cache-status',
  'x-oracle-*',
  'x-sap-*',
  'sap-*',
  'x-weblogic-*',
  'x-owa-version',
  'x-feserver',
  'x-beserver',
  'x-calculatedbetarget',
  'x-diaginfo',
  'microsoftsharepointteamservices',
  'x-sharepoint*',
  'x-jenkins*',
  'x-hudson*',
  'x-ssh-endpoint',
  'x-envoy*',
  'x-istio*',
  'x-kubernetes-*',
  'x-k8s-*',
  'x-kong-*',
  'x-traefik-*',
  'x-debug*',
  'x-exception*',
  'x-stack*',
  'x-profiler*',
  'x-clockwork-*',
  'x-xhprof*',
  'x-query-*',
  'x-sql-*',
  'x-trace*',
  'trace*',
  'x-b3-*',
  'b3',
  'uber-trace-id',
  'uberctx-*',
  'x-datadog-*',
  'x-newrelic-*',
  'newrelic',
  'x-ot-span-context',
  'elastic-apm-traceparent',
  'sentry-trace',
  'baggage',
  'sourcemap',
  'x-sourcemap',
]

/**
 * Fields that stay whatever an allow-list says, since an answer without them is another one: how its bytes are to be read, who may keep it,
 * what its status asks for, and what makes an upgrade one.
 */
const needed: ReadonlySet<string> = new Set([
  'accept-ranges',
  'age',
  'allow',
  'cache-control',
  'connection',
  'content-disposition',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'etag',
  'expires',
  'grpc-encoding',
  'grpc-message',
  'grpc-status',
  'last-modified',
  'location',
  'proxy-authenticate',
  'retry-after',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'www-authenticate',
])

/** Which fields of answers go. */
export type FieldsRule =
  | 'known'
  | { readonly allow: readonly string[] }
  | { readonly keep?: readonly string[] | undefined; readonly remove?: readonly string[] | undefined }

/** Whether a field, by its name in lower case, goes. */
export type Goes = (name: string) => boolean

/** The rule as a function. */
export function fieldsToGo(rule: FieldsRule): Goes {
  if (rule !== 'known' && 'allow' in rule) {
    const allowed = matcher(rule.allow)
    return (name) => !needed.has(name) && !allowed(name)
  }
  const listed = matcher(tellTales)
  const known: Goes = (name) => listed(name) || (name.includes('_') && listed(name.replaceAll('_', '-')))
  if (rule === 'known') return known
  const { keep = [], remove = [] } = rule
  const kept = matcher(keep)
  const removed = matcher(remove)
  return (name) => removed(name) || (known(name) && !kept(name))
}

/** Whether a name is one of these, or begins like one that ends in `*`. */
export function matcher(patterns: readonly string[]): Goes {
  const names = new Set<string>()
  /** By how they begin, so that most names are told apart by one look. */
  const begins = new Map<string, string[]>()
  for (const pattern of patterns) {
    const lower = pattern.toLowerCase()
    if (!lower.endsWith('*')) names.add(lower)
    else {
      const begin = lower.slice(0, -1)
      const key = begin.slice(0, keyed)
      begins.set(key, [...(begins.get(key) ?? []), begin])
    }
  }
  const short = [...begins.keys()].filter((key) => key.length < keyed)
  return (name) =>
    names.has(name) ||
    begins.get(name.slice(0, keyed))?.some((begin) => name.startsWith(begin)) === true ||
    short.some((begin) => name.startsWith(begin))
}

/** Nearly all begin with `x-`. */
const keyed = 3
