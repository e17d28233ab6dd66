// The proxy under /api of an Express 5 app, beside ordinary routes; WebSockets under the same path.
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { createProxy } from 'sluice'

/** The app in front of `target`, as a server that isn't listening yet. */
export function createApp(target) {
  const app = express()
  const proxy = createProxy(target)

  // Parsers read the body, so they keep its bytes for the proxy; the better place for them is behind the proxy.
  app.use(
    express.json({
      verify: (req, _res, bytes) => {
        req.rawBody = bytes
      },
    }),
  )
  app.get('/', (_req, res) => {
    res.send('An ordinary route. The proxied one is /api.\n')
  })
  app.post('/local', (req, res) => {
    res.json({ parsed: req.body })
  })
  app.use('/api', proxy.listener)

  const server = createServer(app)
  // Upgrades don't pass through Express: the server hands them to the proxy, below the same path.
  const detach = attachUpgrades(server, proxy, '/api')
  server.on('close', () => {
    detach()
    void proxy.close()
  })
  return server
}

function attachUpgrades(server, proxy, path) {
  const onUpgrade = (req, socket, head) => {
    const below = req.url.slice(path.length)
    if (!req.url.startsWith(path) || !/^([/?]|$)/.test(below)) return socket.destroy()
    req.url = below.startsWith('/') ? below : `/${below}`
    proxy.upgrade(req, socket, head)
  }
  server.on('upgrade', onUpgrade)
  return () => server.off('upgrade', onUpgrade)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = process.argv[2] ?? 'http://127.0.0.1:3000'
  const server = createApp(target)
  server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${server.address().port}/api -> ${target}`)
  })
}
