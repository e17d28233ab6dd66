// Who is measured, in the order of the table. Each is a process of its own that speaks by lib/announce.mjs; lib/told.mjs
// says what it is told.

/**
 * @param script its URL
 * @param cannot why it isn't in for some scenarios or fronts (lib/scenarios.mjs) or for the measurement of memory, by their
 *   names
 * @param front what its clients speak, where that isn't the scenario's
 */
const contender = (script, cannot = {}, front) => ({ script, cannot, front })

const keepsNothing = 'it answers out of its own, and misses nothing'

const noProxy = { memory: 'it is no proxy' }

const forFlood = { memory: 'it is there for floods' }

const onlyHttp1 = 'it takes no HTTP/2 from clients'

export const contenders = {
  floor: contender(new URL('../contenders/floor.mjs', import.meta.url), {
    memory: 'it is no proxy',
    'miss-stored': keepsNothing,
    'miss-uncached': keepsNothing,
  }),
  'floor-plain': contender(new URL('../contenders/floor-plain.mjs', import.meta.url), noProxy, 'http'),
  nginx: contender(new URL('../contenders/nginx.mjs', import.meta.url)),
  haproxy: contender(new URL('../contenders/haproxy.mjs', import.meta.url)),
  'undici-bare': contender(new URL('../contenders/undici-bare.mjs', import.meta.url), {
    websocket: 'it relays no upgrades',
  }),
  'sluice-forward': contender(new URL('../contenders/sluice-forward.mjs', import.meta.url)),
  'sluice-undici': contender(new URL('../contenders/sluice-undici.mjs', import.meta.url)),
  'sluice-proxy': contender(new URL('../contenders/sluice-proxy.mjs', import.meta.url)),
  'sluice-proxy-plain': contender(
    new URL('../contenders/sluice-proxy-plain.mjs', import.meta.url),
    {},
    'http',
  ),
  'sluice-proxy-rules': contender(new URL('../contenders/sluice-proxy-rules.mjs', import.meta.url)),
  'sluice-proxy-resilient': contender(new URL('../contenders/sluice-proxy-resilient.mjs', import.meta.url)),
  'sluice-proxy-hedge': contender(new URL('../contenders/sluice-proxy-hedge.mjs', import.meta.url)),
  'sluice-http-proxy': contender(new URL('../contenders/sluice-http-proxy.mjs', import.meta.url)),
  'http-proxy-keepalive': contender(new URL('../contenders/http-proxy-keepalive.mjs', import.meta.url), {
    h2: onlyHttp1,
  }),
  'http-proxy': contender(new URL('../contenders/http-proxy.mjs', import.meta.url), { h2: onlyHttp1 }),
  'http-proxy-3': contender(new URL('../contenders/http-proxy-3.mjs', import.meta.url)),
  httpxy: contender(new URL('../contenders/httpxy.mjs', import.meta.url)),
  'fastify-http-proxy': contender(new URL('../contenders/fastify-http-proxy.mjs', import.meta.url), {
    connect: 'it says keep-alive to clients that ask it to close, and refuses their next request',
  }),
  'sluice-cache': contender(new URL('../contenders/sluice-cache.mjs', import.meta.url)),
  'nginx-cache': contender(new URL('../contenders/nginx-cache.mjs', import.meta.url)),
  varnish: contender(new URL('../contenders/varnish.mjs', import.meta.url)),
  'express-compression': contender(
    new URL('../contenders/express-compression.mjs', import.meta.url),
    noProxy,
  ),
  'sluice-compress': contender(new URL('../contenders/sluice-compress.mjs', import.meta.url), noProxy),
  'nginx-gzip': contender(new URL('../contenders/nginx-gzip.mjs', import.meta.url)),
  'sluice-proxy-compress': contender(new URL('../contenders/sluice-proxy-compress.mjs', import.meta.url)),
  'sluice-cache-compress': contender(new URL('../contenders/sluice-cache-compress.mjs', import.meta.url)),
  'sluice-proxy-work': contender(new URL('../contenders/sluice-proxy-work.mjs', import.meta.url), forFlood),
  'sluice-proxy-shed': contender(new URL('../contenders/sluice-proxy-shed.mjs', import.meta.url), forFlood),
  'sluice-tls': contender(new URL('../contenders/sluice-tls.mjs', import.meta.url), noProxy),
  apicache: contender(new URL('../contenders/apicache.mjs', import.meta.url), {
    memory: 'it is no proxy',
    'hit-304': 'its 304 tells the length of what it leaves out, and wrk waits for that',
    'miss-stored': keepsNothing,
    'miss-uncached': keepsNothing,
  }),
}

/** Those that keep answers, and so are measured where answers may be kept. */
export const caches = ['sluice-cache', 'nginx-cache', 'varnish', 'sluice-cache-compress', 'apicache']

/** Those that compress what is worth it, where the client takes it. */
export const coders = [
  'express-compression',
  'sluice-compress',
  'nginx-gzip',
  'sluice-proxy-compress',
  'sluice-cache-compress',
]

/** Those that are for TLS alone. */
const forTls = ['floor-plain', 'sluice-proxy-plain', 'sluice-tls']

/** Those that are for floods alone. */
const forFloods = ['sluice-proxy-work', 'sluice-proxy-shed']

/** Who is measured in a scenario where nobody is named. */
export function usual({ control, distinct, who }) {
  if (who !== undefined) return who
  if (control === undefined)
    return Object.keys(contenders).filter(
      (name) => ![...caches, ...coders, ...forTls, ...forFloods].includes(name),
    )
  const plain = caches.filter((name) => !coders.includes(name))
  return [...(distinct ? ['nginx', 'sluice-proxy'] : ['floor']), ...plain]
}

/** Those that aren't Node: they can't be profiled by it, nor run with another one. */
export const native = ['nginx', 'haproxy', 'nginx-cache', 'nginx-gzip', 'varnish']

/** Those that every other one is set against, where they are measured. */
export const references = [
  'http-proxy-keepalive',
  'floor',
  'undici-bare',
  'nginx',
  'nginx-cache',
  'express-compression',
  'nginx-gzip',
]
