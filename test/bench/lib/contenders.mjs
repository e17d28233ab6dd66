// Who is measured, in the order of the table. Each is a process of its own that speaks by lib/announce.mjs; lib/told.mjs
// says what it is told.

/**
 * @param script its URL
 * @param cannot why it isn't in for some scenarios or fronts (lib/scenarios.mjs) or for the measurement of memory, by their
 *   names
 */
const contender = (script, cannot = {}) => ({ script, cannot })

const onlyHttp1 = 'it takes no HTTP/2 from clients'

export const contenders = {
  floor: contender(new URL('../contenders/floor.mjs', import.meta.url), { memory: 'it is no proxy' }),
  nginx: contender(new URL('../contenders/nginx.mjs', import.meta.url)),
  haproxy: contender(new URL('../contenders/haproxy.mjs', import.meta.url)),
  'undici-bare': contender(new URL('../contenders/undici-bare.mjs', import.meta.url), {
    websocket: 'it relays no upgrades',
  }),
  'sluice-forward': contender(new URL('../contenders/sluice-forward.mjs', import.meta.url)),
  'sluice-undici': contender(new URL('../contenders/sluice-undici.mjs', import.meta.url)),
  'sluice-proxy': contender(new URL('../contenders/sluice-proxy.mjs', import.meta.url)),
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
}

/** Those that aren't Node: they can't be profiled by it, nor run with another one. */
export const native = ['nginx', 'haproxy']

/** Those that every other one is set against. */
export const references = ['http-proxy-keepalive', 'floor', 'undici-bare', 'nginx']
