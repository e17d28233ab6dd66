import { readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { Readable } from 'node:stream'
import ours, { type ServerOptions } from '@sluice/http-proxy'
import { describe, expect, it } from 'vitest'
import { type Ask, httpClient } from '../kit/client.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

/** The API that both have, as far as these tests use it. */
type Proxy = ReturnType<typeof ours.createProxyServer>
const theirs = createRequire(new URL('../../packages/http-proxy/package.json', import.meta.url))(
  'http-proxy',
) as typeof ours

const own = owner()
trapUnhandled()

/**
 * Every difference, and why. The package's README shows the same table; a case names the one that it meets, and fails if there is none.
 */
const differences = {
  slashes: 'Slashes of the request are not merged: base and path meet in one, and no other byte is touched',
  'hop-by-hop': 'Fields of the hop, and those that `Connection` names, reach neither target nor client',
  absolute: 'The authority of an absolute request-target replaces `Host` (RFC 9112 section 3.2.2)',
  repeated: 'Repeated fields stay repeated, where Node joins them or keeps the first',
  framing:
    'A chunked DELETE or OPTIONS keeps its body (CVE-2026-29057: http-proxy sends it as the next request)',
  'no listener':
    'An `error` that nobody listens for is answered 502; http-proxy throws it, which ends the process',
  query: "The query of a target goes ahead of the request's; http-proxy puts the request's path behind it",
  expect: '`proxyReq` is emitted for requests with `Expect`, too',
  consumed: 'A body that was read before is an error at once; http-proxy waits for ever',
  redirects:
    'A redirect is followed from where the target stands; without `changeOrigin` http-proxy asks whoever the `Host` of the client names',
  truncated: 'An answer that breaks off breaks off at the client too, which http-proxy leaves waiting',
  'target parts':
    'A target as a `URL` or plain parts keeps its path and can be compared with redirects; http-proxy loses the one and throws at the other',
  'bad request': 'A request that two parsers could read in two ways is answered 400 and reaches no target',
  'bad field':
    'A field from an option or a listener that HTTP forbids is an error of that request; http-proxy throws',
  auth: '`auth` is sent whatever the client says: credentials for the proxy are none for the target. http-proxy lets the client replace it',
  throwing: 'A listener that throws gives 500; http-proxy ends the process',
} as const
type Difference = keyof typeof differences

interface Seen {
  status: number
  headers: Record<string, string | string[]>
  body: string
  complete: boolean
  target: { method: string; url: string; headers: Record<string, string | string[]>; body: string }[]
  events: string[]
}

interface Case {
  name: string
  options?: (origin: string) => Record<string, unknown>
  ask?: Ask | readonly Ask[]
  origin?: OriginHandler
  /** Listens, or adds steps. */
  setup?: (proxy: Proxy, note: (event: string) => void) => void
  /** How the server calls the proxy. */
  call?: (
    proxy: Proxy,
    req: IncomingMessage,
    res: ServerResponse,
    note: (event: string) => void,
    origin: string,
  ) => void
  /** What differs, and by which difference. */
  differs?: Partial<Record<keyof Seen, Difference>>
  /** What ours does where http-proxy can't be asked: it would throw, or wait for ever. */
  alone?: { difference: Difference; seen: Partial<Seen> }
}

const ofConnection = new Set(['connection', 'keep-alive', 'date', 'transfer-encoding'])

function fields(raw: readonly string[], ports: readonly number[]): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = {}
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase()
    if (ofConnection.has(name)) continue
    let value = raw[i + 1] as string
    ports.forEach((port, at) => {
      value = value.replaceAll(String(port), `PORT${at}`)
    })
    const before = found[name]
    found[name] = before === undefined ? value : [before, value].flat()
  }
  return found
}

async function run(lib: typeof ours, one: Case): Promise<Seen> {
  const answer: OriginHandler =
    one.origin ??
    (async (_req, res, seen) => {
      await seen.body()
      res.setHeader('X-Answer', 'yes')
      res.end('answer')
    })
  const origin = own(await originServer(answer))
  const events: string[] = []
  const note = (event: string): void => void events.push(event)
  const options = (one.options?.(origin.url) ?? { target: origin.url }) as ServerOptions
  const proxy = lib.createProxyServer(options)
  one.setup?.(proxy, note)
  const { call } = one
  if (call !== undefined) {
    // A server of the app's own.
    ;(proxy as { web: unknown }).web = proxy.web.bind(proxy)
  }
  const front = own(
    await originServer((req, res) => {
      if (call === undefined) proxy.web(req, res)
      else call(proxy, req, res, note, origin.url)
    }),
  )
  own({ close: () => proxy.close() })
  const client = own(httpClient({ port: front.port }))
  const asks = (Array.isArray(one.ask) ? one.ask : [one.ask ?? {}]) as readonly Ask[]
  let last = await client.ask(asks[0])
  for (const ask of asks.slice(1)) last = await client.ask(ask)
  const ports = [origin.port, front.port]
  const target = await Promise.all(
    origin.requests.map(async (seen) => ({
      method: seen.method,
      url: seen.url,
      headers: fields(seen.rawHeaders, ports),
      body: (await seen.body().catch(() => '(cut)')).toString(),
    })),
  )
  return {
    status: last.status,
    headers: fields(last.headers, ports),
    body: last.text,
    complete: last.complete,
    target,
    events,
  }
}

const say =
  (status: number, headers: Record<string, string | string[]>, body = ''): OriginHandler =>
  (_req, res) => {
    res.writeHead(status, headers)
    res.end(body)
  }

const redirect =
  (location: string, status = 302): OriginHandler =>
  (_req, res) => {
    res.writeHead(status, { location })
    res.end()
  }
/** A redirect to the origin itself. */
const toSelf: OriginHandler = (req, res) => {
  res.writeHead(302, { location: `http://${req.headers['x-origin']}/moved?a=1` })
  res.end()
}
const at = (origin: string): Record<string, string> => ({ 'x-origin': new URL(origin).host })

const cookies = say(200, {
  'set-cookie': ['a=1; Domain=one.test; Path=/x; Secure', 'b=2; domain=two.test;path=/y', 'c=3; HttpOnly'],
})

const cases: Case[] = [
  { name: 'a GET' },
  { name: 'a HEAD', ask: { method: 'HEAD' } },
  { name: 'a POST with a length', ask: { method: 'POST', path: '/x?y=%2F', body: 'hello' } },
  { name: 'a POST in chunks', ask: { method: 'POST', body: 'hello there', chunked: true } },
  {
    name: 'a PUT of 1 MB',
    ask: { method: 'PUT', body: 'm'.repeat(1_000_000) },
    origin: (req, res) => void req.pipe(res),
  },
  { name: 'a DELETE without a body', ask: { method: 'DELETE' } },
  { name: 'an OPTIONS without a body', ask: { method: 'OPTIONS' } },
  { name: 'a DELETE with a length', ask: { method: 'DELETE', body: 'gone' } },
  { name: 'a PATCH with no content', ask: { method: 'PATCH' } },
  { name: '204', origin: say(204, { 'x-a': '1' }) },
  { name: '304', origin: say(304, { etag: '"a"' }) },
  { name: '404 with a body', origin: say(404, { 'content-type': 'text/plain' }, 'no') },
  { name: '500', origin: say(500, {}, 'broken') },
  {
    name: 'an answer in chunks',
    origin: (_req, res) => {
      res.write('a')
      res.end('b')
    },
  },
  { name: 'cookies, each by itself', origin: say(200, { 'Set-Cookie': ['a=1', 'a=1', 'b=2'] }) },
  {
    name: 'two requests on one connection',
    ask: [{ path: '/1' }, { path: '/2', method: 'POST', body: 'x' }],
  },
  { name: 'a query with two question marks', ask: { path: '/a?b=c?d=e' } },
  { name: 'encoded slashes', ask: { path: '/a%2Fb%25' } },
  { name: 'double slashes', ask: { path: '/a//b' }, differs: { target: 'slashes' } },
  { name: 'a URL in the query', ask: { path: '/go?to=http://x.test//y' } },
  {
    name: 'target with a path',
    options: (target) => ({ target: `${target}/base` }),
    ask: { path: '/a?b=1' },
  },
  {
    name: 'target with a path and a slash',
    options: (target) => ({ target: `${target}/base/` }),
    ask: { path: '/a' },
  },
  {
    name: 'target with a query',
    options: (target) => ({ target: `${target}/base?x=1`, ignorePath: true }),
    ask: { path: '/a?b=1' },
  },
  {
    name: 'ignorePath',
    options: (target) => ({ target: `${target}/only`, ignorePath: true }),
    ask: { path: '/a?b=1' },
  },
  {
    name: 'ignorePath without a path',
    options: (target) => ({ target, ignorePath: true, prependPath: false }),
    ask: { path: '/a' },
  },
  {
    name: 'prependPath: false',
    options: (target) => ({ target: `${target}/base`, prependPath: false }),
    ask: { path: '/a' },
  },
  {
    name: 'toProxy',
    options: (target) => ({ target, toProxy: true, prependPath: false }),
    ask: { path: 'http://example.test/a?b' },
    differs: { target: 'absolute' },
  },
  {
    name: 'target in parts',
    options: (target) => ({ target: { host: '127.0.0.1', port: new URL(target).port, protocol: 'http:' } }),
    ask: { path: '/a' },
  },
  {
    name: 'target as a URL',
    options: (target) => ({ target: new URL(`${target}/base`) }),
    ask: { path: '/a' },
    differs: { target: 'target parts' },
  },
  { name: 'changeOrigin', options: (target) => ({ target, changeOrigin: true }) },
  {
    name: 'headers',
    options: (target) => ({ target, headers: { 'X-Added': 'one', 'user-agent': 'u' } }),
    ask: { headers: ['User-Agent', 'mine'] },
  },
  { name: 'headers with Host', options: (target) => ({ target, headers: { host: 'other.test' } }) },
  { name: 'auth', options: (target) => ({ target, auth: 'user:pass:word' }) },
  {
    name: 'auth where there is one',
    options: (target) => ({ target, auth: 'u:p' }),
    ask: { headers: ['Authorization', 'Bearer t'] },
    differs: { target: 'auth' },
  },
  { name: 'method', options: (target) => ({ target, method: 'PUT' }), ask: { method: 'POST', body: 'x' } },
  { name: 'xfwd', options: (target) => ({ target, xfwd: true }) },
  {
    name: 'xfwd behind another proxy',
    options: (target) => ({ target, xfwd: true }),
    ask: {
      headers: [
        'X-Forwarded-For',
        '10.1.1.1',
        'X-Forwarded-Proto',
        'https',
        'X-Forwarded-Port',
        '443',
        'X-Forwarded-Host',
        'a.test',
      ],
    },
  },
  {
    name: 'forwarding fields without xfwd',
    ask: { headers: ['X-Forwarded-For', '10.1.1.1', 'Forwarded', 'for=1.2.3.4', 'Via', '1.1 a'] },
  },
  {
    name: 'an agent that keeps connections',
    options: (target) => ({ target, agent: new Agent({ keepAlive: true, timeout: 1_000 }) }),
    ask: [{ path: '/1' }, { path: '/2' }],
  },
  {
    name: 'cookieDomainRewrite with a text',
    options: (target) => ({ target, cookieDomainRewrite: 'new.test' }),
    origin: cookies,
  },
  {
    name: 'cookieDomainRewrite that removes',
    options: (target) => ({ target, cookieDomainRewrite: '' }),
    origin: cookies,
  },
  {
    name: 'cookieDomainRewrite with a map',
    options: (target) => ({ target, cookieDomainRewrite: { 'one.test': 'new.test', '*': '' } }),
    origin: cookies,
  },
  {
    name: 'cookieDomainRewrite: false',
    options: (target) => ({ target, cookieDomainRewrite: false }),
    origin: cookies,
  },
  {
    name: 'cookiePathRewrite with a text',
    options: (target) => ({ target, cookiePathRewrite: '/new' }),
    origin: cookies,
  },
  {
    name: 'cookiePathRewrite with a map',
    options: (target) => ({ target, cookiePathRewrite: { '/x': '/z', '/y': null } }),
    origin: cookies,
  },
  {
    name: 'one cookie',
    options: (target) => ({ target, cookiePathRewrite: '/new', cookieDomainRewrite: 'n.test' }),
    origin: say(200, { 'set-cookie': 'a=1; path=/; domain=x' }),
  },
  {
    name: 'hostRewrite',
    options: (target) => ({ target, hostRewrite: 'public.test:81', headers: at(target) }),
    origin: toSelf,
  },
  {
    name: 'autoRewrite',
    options: (target) => ({ target, autoRewrite: true, headers: at(target) }),
    origin: toSelf,
  },
  {
    name: 'protocolRewrite',
    options: (target) => ({ target, protocolRewrite: 'https', headers: at(target) }),
    origin: toSelf,
  },
  {
    name: 'hostRewrite before autoRewrite',
    options: (target) => ({
      target,
      hostRewrite: 'h.test',
      autoRewrite: true,
      protocolRewrite: 'https',
      headers: at(target),
    }),
    origin: toSelf,
  },
  {
    name: 'hostRewrite of another host',
    options: (target) => ({ target, hostRewrite: 'h.test' }),
    origin: redirect('http://elsewhere.test/x'),
  },
  {
    name: 'hostRewrite of a path',
    options: (target) => ({ target, hostRewrite: 'h.test' }),
    origin: redirect('/x'),
  },
  ...[200, 201, 301, 303, 307, 308].map(
    (status): Case => ({
      name: `autoRewrite at ${status}`,
      options: (target) => ({ target, autoRewrite: true, headers: at(target) }),
      origin: (req, res) => {
        res.writeHead(status, { location: `http://${req.headers['x-origin']}/` })
        res.end()
      },
    }),
  ),
  { name: 'redirects pass', origin: redirect('http://elsewhere.test/x', 301) },
  { name: 'preserveHeaderKeyCase', options: (target) => ({ target, preserveHeaderKeyCase: true }) },
  {
    name: 'followRedirects',
    options: (target) => ({ target, changeOrigin: true, followRedirects: true }),
    ask: { path: '/a' },
    origin: (req, res) => {
      if (req.url === '/a') {
        res.writeHead(302, { location: '/b' })
        res.end()
      } else res.end(`at ${req.url}`)
    },
  },
  {
    name: 'followRedirects of a POST',
    options: (target) => ({ target, changeOrigin: true, followRedirects: true }),
    ask: { path: '/a', method: 'POST', body: 'b', headers: ['Content-Type', 'text/x'] },
    origin: async (req, res, seen) => {
      await seen.body()
      if (req.url === '/a') {
        res.writeHead(303, { location: '/b' })
        res.end()
      } else res.end(`${req.method} ${req.url}`)
    },
  },
  {
    name: 'followRedirects of a 307',
    options: (target) => ({ target, changeOrigin: true, followRedirects: true }),
    ask: { path: '/a', method: 'POST', body: 'body' },
    origin: async (req, res, seen) => {
      const body = await seen.body()
      if (req.url === '/a') {
        res.writeHead(307, { location: '/b' })
        res.end()
      } else res.end(`${req.method} ${body.toString()}`)
    },
  },
  {
    name: 'followRedirects without changeOrigin',
    options: (target) => ({ target, followRedirects: true }),
    ask: { path: '/a' },
    origin: (req, res) => {
      if (req.url === '/a') res.writeHead(302, { location: '/b' })
      res.end(req.headers.host)
    },
    differs: { target: 'redirects', body: 'redirects' },
  },
  {
    name: 'a target with a query',
    options: (target) => ({ target: `${target}/base?x=1` }),
    ask: { path: '/a?b=2' },
    differs: { target: 'query' },
  },
  {
    name: 'forward alone',
    options: (forward) => ({ forward }),
    ask: { method: 'POST', path: '/copy', body: 'hello' },
    call: (proxy, req, res) => {
      proxy.web(req, res)
    },
  },
  {
    name: 'buffer',
    ask: { method: 'POST', body: 'unread' },
    call: (proxy, req, res) => {
      req.on('data', () => {})
      req.on('end', () =>
        proxy.web(req, res, { buffer: Readable.from([Buffer.from('buffer')], { objectMode: false }) }),
      )
    },
  },
  {
    name: 'the target of a call',
    options: () => ({}),
    call: (proxy, req, res, _note, target) => void proxy.web(req, res, { target }),
  },
  {
    name: 'req.headers and req.url edited before the call',
    call: (proxy, req, res) => {
      req.headers['x-mine'] = 'yes'
      delete req.headers['x-drop']
      req.headers['x-change'] = 'new'
      req.url = '/edited'
      proxy.web(req, res)
    },
    ask: { headers: ['X-Drop', '1', 'X-Change', 'old', 'X-Keep', 'k'] },
  },
  {
    name: 'fields that an app has set on the response',
    call: (proxy, req, res) => {
      res.setHeader('X-App', 'a')
      res.setHeader('X-Answer', 'of the app')
      proxy.web(req, res)
    },
  },
  {
    name: 'a response whose write an app has changed',
    call: (proxy, req, res) => {
      const write = res.write.bind(res) as (chunk: unknown) => boolean
      res.write = ((chunk: Buffer) => write(chunk.toString().toUpperCase())) as never
      proxy.web(req, res)
    },
    origin: (_req, res) => {
      res.write('one ')
      setImmediate(() => res.end('two'))
    },
  },
  {
    name: 'proxyReq edits',
    setup: (proxy, note) =>
      proxy.on('proxyReq', (proxyReq) => {
        note(`${proxyReq.method} ${proxyReq.path} ${String(proxyReq.getHeader('X-Mine'))}`)
        proxyReq.setHeader('X-Special', 'foobar')
        proxyReq.removeHeader('x-mine')
        proxyReq.setHeader('X-Two', ['1', '2'])
        proxyReq.path = '/other?x'
        note(`${proxyReq.hasHeader('x-special')} ${proxyReq.getHeaderNames().includes('x-special')}`)
      }),
    ask: { headers: ['X-Mine', 'm'] },
  },
  {
    name: 'proxyReq writes the body of a parsed one',
    ask: { method: 'POST', body: '{"a":1}', headers: ['Content-Type', 'application/json'] },
    setup: (proxy) =>
      proxy.on('proxyReq', (proxyReq, req) => {
        const body = JSON.stringify({ b: 2, was: (req as { body?: unknown }).body })
        proxyReq.setHeader('Content-Length', Buffer.byteLength(body))
        proxyReq.write(body)
        proxyReq.end()
      }),
    call: (proxy, req, res) => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        ;(req as { body?: unknown }).body = JSON.parse(Buffer.concat(chunks).toString())
        proxy.web(req, res)
      })
    },
  },
  {
    name: 'proxyRes edits',
    setup: (proxy, note) =>
      proxy.on('proxyRes', (proxyRes, _req, res) => {
        note(
          `${proxyRes.statusCode} ${proxyRes.statusMessage} ${proxyRes.httpVersion} ${String(proxyRes.headers['x-answer'])}`,
        )
        proxyRes.headers['x-new'] = 'n'
        delete proxyRes.headers['x-answer']
        proxyRes.headers['set-cookie'] = ['a=1', 'b=2']
        res.setHeader('x-res', '1')
        proxyRes.statusCode = 202
      }),
  },
  {
    name: 'proxyRes reads along',
    setup: (proxy, note) =>
      proxy.on('proxyRes', (proxyRes) => {
        let text = ''
        proxyRes.on('data', (chunk: Buffer) => (text += chunk.toString()))
        proxyRes.on('end', () => note(text))
      }),
  },
  {
    name: 'selfHandleResponse',
    options: (target) => ({ target, selfHandleResponse: true }),
    setup: (proxy, note) => {
      proxy.on('proxyRes', (proxyRes, _req, res) => {
        const chunks: Buffer[] = []
        proxyRes.on('data', (chunk: Buffer) => chunks.push(chunk))
        proxyRes.on('end', () => {
          ;(res as ServerResponse).setHeader('x-self', '1')
          ;(res as ServerResponse).end(Buffer.concat(chunks).toString().toUpperCase())
        })
      })
      proxy.on('end', () => note('end'))
    },
  },
  {
    name: 'a proxyRes listener that answers',
    setup: (proxy) =>
      proxy.on('proxyRes', (_proxyRes, _req, res) => {
        ;(res as ServerResponse).writeHead(418)
        ;(res as ServerResponse).end('tea')
      }),
  },
  {
    name: 'the order of events',
    setup: (proxy, note) => {
      for (const name of ['start', 'proxyReq', 'proxyRes', 'end'] as const) proxy.on(name, () => note(name))
    },
  },
  {
    name: 'start names the target',
    setup: (proxy, note) =>
      proxy.on('start', (_req, _res, target) =>
        note(`${target?.protocol} ${target?.hostname} ${target?.pathname} ${typeof target?.href}`),
      ),
  },
  {
    name: 'options of proxyReq hold the parsed target',
    setup: (proxy, note) =>
      proxy.on('proxyReq', (_proxyReq, _req, _res, options) => {
        const { target } = options as { target: { hostname: string; protocol: string; path: string } }
        note(`${target.hostname} ${target.protocol} ${target.path}`)
      }),
  },
  {
    name: 'proxyReq.destroy with an error',
    setup: (proxy, note) => {
      proxy.on('proxyReq', (proxyReq) => void proxyReq.destroy(new Error('mine')))
      proxy.on('error', (error, _req, res) => {
        note(error.message)
        ;(res as ServerResponse).end('given up')
      })
    },
  },
  {
    name: 'before',
    setup: (proxy, note) => {
      proxy.before('web', 'stream', ((req: IncomingMessage) => {
        req.headers['x-step'] = '1'
        note('step')
      }) as never)
    },
  },
  {
    name: 'after',
    setup: (proxy, note) => {
      proxy.after('web', 'timeout', (() => note('step')) as never)
    },
  },
  {
    name: 'a step that ends the call',
    setup: (proxy) => {
      proxy.before('web', 'stream', ((_req: IncomingMessage, res: ServerResponse) => {
        res.end('mine')
        return true
      }) as never)
    },
  },
  {
    name: 'before with what there is not',
    setup: (proxy, note) => {
      for (const args of [
        ['tcp', 'stream'],
        ['web', 'nothing'],
      ])
        try {
          proxy.before(args[0] as 'web', args[1] as string, () => {})
        } catch (error) {
          note((error as Error).message)
        }
    },
  },
  {
    name: 'an error, with a listener',
    options: () => ({ target: 'http://127.0.0.1:1' }),
    setup: (proxy, note) =>
      proxy.on('error', (error, req, res, target) => {
        note(`${error.code} ${error.message} ${req.url} ${typeof target}`)
        ;(res as ServerResponse).writeHead(503)
        ;(res as ServerResponse).end('sorry')
      }),
  },
  {
    name: 'an error, with a callback',
    options: () => ({ target: 'http://127.0.0.1:1' }),
    call: (proxy, req, res, note) =>
      void proxy.web(req, res, {}, (error, _req, theRes) => {
        note(String(error.code))
        ;(theRes as ServerResponse).end('told')
      }),
  },
  {
    name: 'no target',
    options: () => ({}),
    setup: (proxy, note) => proxy.on('error', (error) => note(error.message)),
    call: (proxy, req, res) => {
      proxy.web(req, res)
      if (!res.writableEnded) res.end('none')
    },
  },
  {
    name: 'a target that hangs up',
    origin: (req) => void req.socket.destroy(),
    setup: (proxy, note) =>
      proxy.on('error', (error, _req, res) => {
        note(`${error.code} ${error.message}`)
        ;(res as ServerResponse).end('lost')
      }),
  },
  {
    name: 'proxyTimeout',
    options: (target) => ({ target, proxyTimeout: 50 }),
    origin: (_req, _res, seen) => void seen.body(),
    setup: (proxy, note) =>
      proxy.on('error', (error, _req, res) => {
        note(`${error.code} ${error.message}`)
        ;(res as ServerResponse).end('late')
      }),
  },
  {
    name: 'fields that Connection names',
    ask: { headers: ['Connection', 'X-Hop', 'X-Hop', '1', 'Proxy-Authorization', 'Basic x'] },
    differs: { target: 'hop-by-hop' },
  },
  { name: 'repeated fields', ask: { headers: ['X-A', '1', 'X-A', '2'] }, differs: { target: 'repeated' } },
  {
    name: 'a chunked DELETE',
    ask: { method: 'DELETE', body: 'GET /admin HTTP/1.1', chunked: true },
    alone: { difference: 'framing', seen: { status: 200 } },
  },
  {
    name: 'Expect',
    ask: { method: 'POST', body: 'x', headers: ['Expect', '100-continue'] },
    setup: (proxy, note) => proxy.on('proxyReq', () => note('proxyReq')),
    differs: { events: 'expect' },
  },
  {
    name: 'an error that nobody listens for',
    options: () => ({ target: 'http://127.0.0.1:1' }),
    alone: { difference: 'no listener', seen: { status: 502 } },
  },
  {
    name: 'a body that was read',
    ask: { method: 'POST', body: 'x' },
    call: (proxy, req, res) => {
      req.on('data', () => {})
      req.on('end', () => proxy.web(req, res))
    },
    alone: { difference: 'consumed', seen: { status: 500 } },
  },
  {
    name: 'an answer that breaks off',
    origin: (_req, res) => {
      res.writeHead(200, { 'content-length': '100' })
      res.write('half')
      setImmediate(() => res.destroy())
    },
    alone: { difference: 'truncated', seen: { status: 200, complete: false } },
  },
  {
    name: 'parts and redirects',
    options: (target) => ({
      target: { host: '127.0.0.1', port: new URL(target).port },
      hostRewrite: 'h.test',
      headers: at(target),
    }),
    origin: toSelf,
    alone: { difference: 'target parts', seen: { status: 302 } },
  },
  {
    name: 'two Host fields',
    ask: { headers: ['Host', 'a.test', 'Host', 'b.test'] },
    alone: { difference: 'bad request', seen: { status: 400, target: [] } },
  },
  {
    name: 'a field that HTTP forbids',
    setup: (proxy) => proxy.on('proxyReq', (proxyReq) => proxyReq.setHeader('x', 'a\r\nb: c')),
    alone: { difference: 'bad field', seen: { status: 500, target: [] } },
  },
  {
    name: 'a listener that throws',
    setup: (proxy) =>
      proxy.on('proxyRes', () => {
        throw new Error('mine')
      }),
    alone: { difference: 'throwing', seen: { status: 500 } },
  },
  {
    name: 'an error listener that throws',
    options: () => ({ target: 'http://127.0.0.1:1' }),
    setup: (proxy) =>
      proxy.on('error', () => {
        throw new Error('mine')
      }),
    alone: { difference: 'throwing', seen: { status: 500 } },
  },
]

describe('http-proxy 1.18.1 and createProxyServer', () => {
  it.each(cases)('$name', async (one) => {
    const mine = await run(ours, one)
    if (one.alone !== undefined) {
      expect(mine).toMatchObject(one.alone.seen)
      return
    }
    const reference = await run(theirs, one)
    for (const key of Object.keys(mine) as (keyof Seen)[]) {
      const difference = one.differs?.[key]
      if (difference === undefined) expect(mine[key], key).toEqual(reference[key])
      else expect(mine[key], `${key} differs no more: ${differences[difference]}`).not.toEqual(reference[key])
    }
  })

  it('differ in what the table says, and the README says the same', () => {
    const readme = readFileSync(new URL('../../packages/http-proxy/README.md', import.meta.url), 'utf8')
    for (const [name, text] of Object.entries(differences)) expect(readme, name).toContain(`| ${text} |`)
    const met = cases.flatMap(({ alone, differs = {} }) =>
      alone === undefined ? Object.values(differs) : [alone.difference],
    )
    expect([...new Set(met)].sort()).toEqual(Object.keys(differences).sort())
  })
})
