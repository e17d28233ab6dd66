// A caching proxy, and beside it a port for those who may purge:
//   curl -X POST 'http://127.0.0.1:8081/purge?tag=product-17'        old pages go out while new ones are fetched
//   curl -X POST 'http://127.0.0.1:8081/purge?tag=product-17&hard'   nobody gets the old one any more
//   curl -X POST 'http://127.0.0.1:8081/purge?prefix=https://shop.example/'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { createProxy } from 'sluice'

/** A proxy before `target` that listens on `port`, and on `adminPort` to purges. */
export async function serve(target, port, adminPort) {
  const proxy = createProxy({
    upstreams: { site: target },
    cache: {
      setCookie: 'never',
      staleWhileRevalidate: '1m',
      staleIfError: '1h',
      key: { query: { ignore: ['utm_*'] } },
    },
  })

  const admin = createServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://admin')
    if (pathname !== '/purge') return void res.writeHead(404).end()
    if (req.method !== 'POST') return void res.writeHead(405, { Allow: 'POST' }).end()
    const { hard, ...what } = Object.fromEntries(searchParams)
    try {
      const purged = await proxy.cache.purge(what, { soft: hard === undefined })
      res.setHeader('Content-Type', 'application/json').end(JSON.stringify({ purged }))
    } catch (error) {
      // A TypeError tells what is wrong with the request; all else is the store's, and is to be tried again.
      res.writeHead(error instanceof TypeError ? 400 : 503).end(`${error.message}\n`)
    }
  })
  // Whoever reaches this port may empty the cache: it listens to this machine alone.
  admin.listen(adminPort, '127.0.0.1')
  await once(admin, 'listening')
  const { port: at } = await proxy.listen(port)

  return {
    port: at,
    adminPort: admin.address().port,
    async close() {
      admin.close()
      await proxy.close()
    },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { PORT = '8080', ADMIN_PORT = '8081' } = process.env
  const site = await serve(process.argv[2] ?? 'http://127.0.0.1:3000', Number(PORT), Number(ADMIN_PORT))
  console.log(`http://127.0.0.1:${site.port}, purges on ${site.adminPort}`)
  process.once('SIGINT', () => site.close())
}
