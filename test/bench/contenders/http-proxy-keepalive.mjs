// http-proxy as its users run it in earnest: with an agent that keeps connections.
import { Agent } from 'node:http'
import httpProxy from 'http-proxy'
import { serve } from '../lib/announce.mjs'
import { createFront } from '../lib/front.mjs'
import { origin } from '../lib/told.mjs'

const agent = new Agent({ keepAlive: true, maxSockets: 128, maxFreeSockets: 128 })
const proxy = httpProxy.createProxyServer({ target: origin, agent })

proxy.on('error', (_error, _req, res) => res.destroy())
serve(
  createFront(
    (req, res) => proxy.web(req, res),
    (req, socket, head) => proxy.ws(req, socket, head),
  ),
)
