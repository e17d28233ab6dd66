// unjs's descendant of http-proxy as it comes: it keeps connections by itself.
import { createProxyServer } from 'httpxy'
import { serve } from '../lib/announce.mjs'
import { createFront } from '../lib/front.mjs'
import { origin } from '../lib/told.mjs'

const proxy = createProxyServer({ target: origin })

proxy.on('error', (_error, _req, res) => res.destroy())
serve(
  createFront(
    (req, res) => {
      proxy.web(req, res).catch(() => res.destroy())
    },
    (req, socket, head) => {
      proxy.ws(req, socket, {}, head).catch(() => socket.destroy())
    },
  ),
)
