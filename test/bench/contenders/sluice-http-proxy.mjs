// The API of http-proxy over our forwarder: what an app has after it has changed one import.
import httpProxy from '@sluice/http-proxy'
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
