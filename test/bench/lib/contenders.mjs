// Who is measured, in the order of the table. Each is a process of its own that speaks by lib/announce.mjs; its
// arguments are the origin's address and the length of the body that the scenario asks for.

/** Scripts by name. */
export const contenders = {
  floor: new URL('../contenders/floor.mjs', import.meta.url),
  nginx: new URL('../contenders/nginx.mjs', import.meta.url),
  haproxy: new URL('../contenders/haproxy.mjs', import.meta.url),
  'undici-bare': new URL('../contenders/undici-bare.mjs', import.meta.url),
  'sluice-forward': new URL('../contenders/sluice-forward.mjs', import.meta.url),
  'sluice-proxy': new URL('../contenders/sluice-proxy.mjs', import.meta.url),
  'http-proxy-keepalive': new URL('../contenders/http-proxy-keepalive.mjs', import.meta.url),
  'http-proxy': new URL('../contenders/http-proxy.mjs', import.meta.url),
  'http-proxy-3': new URL('../contenders/http-proxy-3.mjs', import.meta.url),
  httpxy: new URL('../contenders/httpxy.mjs', import.meta.url),
  'fastify-http-proxy': new URL('../contenders/fastify-http-proxy.mjs', import.meta.url),
}

/** Those that aren't Node: they can't be profiled by it. */
export const native = ['nginx', 'haproxy']

/** Those that every other one is set against. */
export const references = ['http-proxy-keepalive', 'floor', 'undici-bare', 'nginx']
