// A cache in front of an Express app, with no proxy: pages are kept until what they show changes.
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { connectCache, createCache } from '@sluice/cache'
import express from 'express'

/** A shop whose pages are made once, as a server that isn't listening yet. */
export function createShop() {
  const prices = new Map([
    ['tea', 4],
    ['cup', 9],
  ])
  const pages = createCache({ staleWhileRevalidate: '10s', setCookie: 'never' })
  const app = express()
  app.use(connectCache(pages))

  app.get('/products/:name', (req, res) => {
    const { name } = req.params
    if (!prices.has(name)) return res.status(404).send('There is no such thing.\n')
    res.set('Cache-Control', 'public, max-age=3600')
    res.set('Cache-Tag', `product-${name}`)
    res.send(`${name}: ${prices.get(name)}\n`)
  })
  app.get('/products', (_req, res) => {
    res.set('Cache-Control', 'public, max-age=3600')
    res.set('Cache-Tag', [...prices.keys()].map((name) => `product-${name}`).join(', '))
    res.send([...prices].map(([name, price]) => `${name}: ${price}\n`).join(''))
  })
  app.put('/products/:name', express.text(), async (req, res) => {
    prices.set(req.params.name, Number(req.body))
    // Every page that shows the product goes: its own, and the list.
    await pages.purge({ tag: `product-${req.params.name}` })
    res.sendStatus(204)
  })

  const server = createServer(app)
  server.on('close', () => void pages.close())
  return server
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = createShop()
  server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${server.address().port}/products`)
  })
}
