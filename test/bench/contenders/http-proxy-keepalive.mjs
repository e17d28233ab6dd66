// http-proxy as its users run it in earnest: with an agent that keeps connections.
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'
import { serve } from '../lib/announce.mjs'

const agent = new Agent({ keepAlive: true, maxSockets: 128, maxFreeSockets: 128 })
const proxy = httpProxy.createProxyServer({ target: process.argv[2], agent })

proxy.on('error', (_error, _req, res) => res.destroy())
serve(createServer((req, res) => proxy.web(req, res)))
