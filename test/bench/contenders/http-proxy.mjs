// http-proxy as it comes: a new connection for each request.
import httpProxy from 'http-proxy'
import { serve } from '../lib/announce.mjs'
import { createFront } from '../lib/front.mjs'
import { origin } from '../lib/told.mjs'

const proxy = httpProxy.createProxyServer({ target: origin })

proxy.on('error', (_error, _req, res) => res.destroy())
serve(
  createFront(
    (req, res) => proxy.web(req, res),
    (req, socket, head) => proxy.ws(req, socket, head),
  ),
)
