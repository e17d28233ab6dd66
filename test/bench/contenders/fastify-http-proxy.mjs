// Fastify's proxy plugin as it comes, over undici.
import proxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { announce, endWithTheRun } from '../lib/announce.mjs'

endWithTheRun()
const app = fastify()
app.register(proxy, { upstream: process.argv[2] })
await app.listen({ port: 0, host: '127.0.0.1' })
announce(app.server.address().port)
