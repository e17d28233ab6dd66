// Fastify's proxy plugin as it comes, over undici; larger bodies are let in than 1 MB.
import proxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { announce, endWithTheRun } from '../lib/announce.mjs'
import { certificate, origin, scenario } from '../lib/told.mjs'

endWithTheRun()
const { front } = scenario
const app = fastify({
  bodyLimit: 1e9,
  http2: front === 'h2',
  https: certificate.cert === undefined ? null : certificate,
})
app.register(proxy, { upstream: origin, websocket: front === 'websocket' })
await app.listen({ port: 0, host: '127.0.0.1' })
announce(app.server.address().port)
