// The maintained fork of http-proxy, with the same agent.
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy-3'
import { serve } from '../lib/announce.mjs'

const agent = new Agent({ keepAlive: true, maxSockets: 128, maxFreeSockets: 128 })
const proxy = httpProxy.createProxyServer({ target: process.argv[2], agent })

proxy.on('error', (_error, _req, res) => res.destroy())
serve(createServer((req, res) => proxy.web(req, res)))
