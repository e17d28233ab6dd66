import { createServer } from 'node:http'
import { undiciTransport } from '@sluice/forward'
import { createProxy } from 'sluice'

/** Proxies that differ in what they are made of; workers take turns. */
export const variants = [
  'as it comes',
  'with a cache and compression',
  'over undici',
  "in a server of an app's own, whose parser is lenient",
]

/**
 * A proxy that gives a number to each request which it means: what arrives without one was smuggled. Retries are off, so that each number
 * arrives once.
 * @param {string[]} targets
 * @param {object} options of `createProxy`, but for `upstream`, which are those of the only upstream
 * @param {number} variant of {@link variants}
 */
export function numberedProxy(targets, { upstream = {}, ...options } = {}, variant = 0) {
  /** By number: the port of the client's connection. */
  const asked = new Map()
  let last = 0
  const transport = variant === 2 ? undiciTransport() : undefined
  const proxy = createProxy({
    upstreams: {
      all: { targets, retry: false, ejection: false, ...upstream, ...(transport && { transport }) },
    },
    onRequest: (ctx) => {
      const { headers } = ctx.out
      for (let i = headers.length - 2; i >= 0; i -= 2)
        if (headers[i].toLowerCase() === 'x-exchange') headers.splice(i, 2)
      headers.push('X-Exchange', String(++last))
      asked.set(last, (ctx.req.stream?.session?.socket ?? ctx.req.socket)?.remotePort)
    },
    ...(variant === 1 ? { cache: true, compress: true } : {}),
    ...options,
  })
  return {
    asked,
    proxy: variant === 3 && options.tls === undefined ? lenient(proxy) : began(proxy, transport),
  }
}

function began(proxy, transport) {
  return {
    listen: () => proxy.listen(),
    async close(options) {
      await proxy.close(options)
      await transport?.close(true)
    },
  }
}

/** What Node's parser lets by then has to be refused by what stands on every mount. */
function lenient(proxy) {
  const server = createServer({ insecureHTTPParser: true })
  proxy.attach(server)
  return {
    async listen() {
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server.address()
    },
    async close(options) {
      const closed = new Promise((resolve) => server.close(resolve))
      await proxy.close(options)
      server.closeAllConnections()
      await closed
    },
  }
}
