// http-proxy as it comes: a new connection for each request.
import { createServer } from 'node:http'
import httpProxy from 'http-proxy'
import { serve } from '../lib/announce.mjs'

const proxy = httpProxy.createProxyServer({ target: process.argv[2] })

proxy.on('error', (_error, _req, res) => res.destroy())
serve(createServer((req, res) => proxy.web(req, res)))
