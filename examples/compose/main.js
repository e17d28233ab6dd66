// A chain by hand, in a server of one's own, with a Connect middleware in it.
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { balance, leastRequests } from '@sluice/balance'
import { attach, chain, clientAddress, fromConnect } from '@sluice/core'
import { forward } from '@sluice/forward'
import { retry } from '@sluice/resilience'
import { createUpstream } from '@sluice/upstream'
import compression from 'compression'

/** A server in front of `targets`, not listening yet. */
export function createSite(targets) {
  const upstream = createUpstream({ name: 'site', targets })
  const handler = chain()
    .use(clientAddress())
    // A layer of one's own: sees the reply, and changes it as a value.
    .use((next) => async (ctx) => {
      const reply = await next(ctx)
      reply.headers.push('x-served-for', ctx.client.address)
      return reply
    })
    .use(fromConnect(compression({ threshold: 0 })))
    .use(retry({ attempts: 3 }))
    .use(balance(upstream, leastRequests()))
    .handle(forward())
  const server = createServer()
  attach(server, handler)
  server.on('close', () => void upstream.close())
  return server
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const targets =
    process.argv.length > 2 ? process.argv.slice(2) : ['http://127.0.0.1:3000', 'http://127.0.0.1:3001']
  const server = createSite(targets)
  server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${server.address().port} -> ${targets.join(', ')}`)
  })
}
