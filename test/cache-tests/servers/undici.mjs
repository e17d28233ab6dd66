// A minimal proxy on undici's cache interceptor: `undici.mjs ORIGIN`. It hands on what it must, and adds nothing.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { serve } from '../../bench/lib/announce.mjs'

const require = createRequire(new URL('../../bench/package.json', import.meta.url))
const { Agent, interceptors } = require('undici')

const [origin] = process.argv.slice(2)
const dispatcher = new Agent().compose(interceptors.cache({ type: 'shared' }))

const hop = new Set([
  ...[
    'connection',
    'keep-alive',
    'proxy-connection',
    'transfer-encoding',
    'te',
    'trailer',
    'upgrade',
    'expect',
  ],
])

/** Fields without those of one hop (RFC 9110 section 7.6.1). */
function endToEnd(headers) {
  const nominated = String(headers.connection ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !hop.has(name) && !nominated.includes(name)),
  )
}

async function relay(req, res) {
  const { method, url: path } = req
  const body = 'content-length' in req.headers || 'transfer-encoding' in req.headers ? req : null
  const answer = await dispatcher.request({ origin, path, method, headers: endToEnd(req.headers), body })
  res.writeHead(answer.statusCode, endToEnd(answer.headers))
  for await (const chunk of answer.body) res.write(chunk)
  res.end()
}

serve(
  createServer((req, res) =>
    relay(req, res).catch(() => (res.headersSent ? res.destroy() : res.writeHead(502).end())),
  ),
)
