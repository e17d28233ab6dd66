// unjs's descendant of http-proxy as it comes: it keeps connections by itself.
import { createServer } from 'node:http'
import { createProxyServer } from 'httpxy'
import { serve } from '../lib/announce.mjs'

const proxy = createProxyServer({ target: process.argv[2] })

proxy.on('error', (_error, _req, res) => res.destroy())
serve(
  createServer((req, res) => {
    proxy.web(req, res).catch(() => res.destroy())
  }),
)
