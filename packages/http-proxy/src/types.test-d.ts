// What apps of http-proxy are written with compiles as it is.
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type Theirs from 'http-proxy'
import httpProxy, { createProxyServer, type OutgoingRequest, type ProxyServerOptions } from './index.js'

const options: Theirs.ServerOptions = { target: 'http://127.0.0.1:3000', changeOrigin: true }
const proxy: httpProxy = httpProxy.createProxyServer(options)

proxy.on('proxyReq', (proxyReq: ClientRequest, _req: IncomingMessage, _res: ServerResponse) => {
  proxyReq.setHeader('x', 'y')
})
proxy.on('proxyReq', (proxyReq: OutgoingRequest) => void proxyReq.rawHeaders.push('x', 'y'))
proxy.on('proxyReq', (proxyReq, req, res, given) => {
  proxyReq.setHeader('x', req.url ?? '')
  res.setHeader('x', String(given.changeOrigin))
})
proxy.on('proxyReqWs', (proxyReq: ClientRequest, _req: IncomingMessage, socket: Socket) => {
  proxyReq.removeHeader('x')
  socket.setNoDelay()
})
proxy.on('proxyRes', (proxyRes: IncomingMessage, _req: IncomingMessage, res: ServerResponse) => {
  proxyRes.headers['x'] = 'y'
  delete proxyRes.headers['set-cookie']
  proxyRes.pipe(res)
})
proxy.on('error', (error: Error, _req: IncomingMessage, res: ServerResponse | Socket) => {
  if ('writeHead' in res) res.writeHead(502).end(error.message)
  else res.destroy()
})
proxy.on('error', (error) => error.code === 'ECONNREFUSED')
proxy.on('econnreset', (_error: Error, _req: IncomingMessage, _res: ServerResponse | Socket) => {})
proxy.on('start', (_req, _res, target) => target.href)
proxy.on(
  'end',
  (_req: IncomingMessage, _res: ServerResponse, proxyRes: IncomingMessage) => proxyRes.statusCode,
)
proxy.on('open', (socket: Socket) => socket.destroy())
proxy.on('close', (_res: IncomingMessage, _socket: Socket, _head: Buffer) => {})

export function listener(req: IncomingMessage, res: ServerResponse): void {
  proxy.web(req, res)
  proxy.web(req, res, { target: new URL('http://127.0.0.1') })
  proxy.web(req, res, {}, (error, _req, _res, _target) => error.message)
  proxy.web(req, res, (error) => error.message)
}

// The names of types on the default export, as http-proxy has them.
const named: httpProxy.ServerOptions = { target: 'http://127.0.0.1:3000' }
const callback: httpProxy.ErrorCallback = (error) => error.message
export const detailed: httpProxy.ProxyTargetDetailed = { host: 'localhost', port: 3000 }
export const where: httpProxy.ProxyTarget = new URL('http://127.0.0.1')

// What the forks have.
const forks: ProxyServerOptions = {
  target: (req) => (req.url === '/' ? 'http://127.0.0.1:1' : { host: 'localhost', port: 1 }),
  followRedirects: 5,
  http2: false,
  connectTimeout: 100,
  upgradeTimeout: 100,
  fetch,
  fetchOptions: { onBeforeRequest: (init) => (init.headers as Headers).set('x', 'y') },
}
export async function awaits(req: IncomingMessage, res: ServerResponse, socket: Socket): Promise<void> {
  await proxy.web(req, res, named)
  proxy.web(req, res, callback).then(() => {})
  proxy.ws(req, socket, forks, Buffer.alloc(0)).catch((error: unknown) => error)
  proxy.listen(0, '127.0.0.1', () => {})
}

// @ts-expect-error: no such event
proxy.on('proxyRequest', () => {})
// @ts-expect-error: a target is a URL or its parts
createProxyServer({ target: 3000 })
