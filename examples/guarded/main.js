// A proxy before an app that knows of no attackers and no users: what is malformed, too large or too often is refused, a part asks who comes,
// another wants a signed link, and nothing tells who serves.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { hashPassword, signUrl } from '@sluice/access'
import { createProxy } from 'sluice'

const secret = 'a secret of this site alone'

/** An app that says what it has heard, and more of itself than it should. */
function leakyApp() {
  return createServer((req, res) => {
    res.setHeader('X-Powered-By', 'leaky-app/1.0')
    res.setHeader('Server', 'host-17.internal')
    res.end(`${req.headers['x-user'] ?? 'anybody'} ${req.url}`)
  }).listen(0, '127.0.0.1')
}

/** The proxy that stands before it. */
async function guarded(target) {
  const users = { alice: await hashPassword('correct horse battery staple') }
  const refused = []
  const proxy = createProxy({
    upstreams: { app: target },
    // What is malformed is refused without a word of it here; so are slow clients, and floods of HTTP/2.
    guard: {
      anonymity: true,
      bodyLimit: '1kb',
      rateLimit: { limit: 100, window: '1m' },
    },
    access: { requestId: true, securityHeaders: true, cors: { origins: ['https://app.example'] } },
    routes: [
      { path: '/admin', upstream: 'app', access: { basic: { users, header: 'X-User' } } },
      { path: '/media', upstream: 'app', access: { signedUrl: { secret } } },
      { path: '/search', upstream: 'app', limits: { rateLimit: { limit: 2, window: '1m' } } },
      { path: '/', upstream: 'app' },
    ],
    onError: ({ reason }) => void refused.push(reason),
  })
  return { proxy, refused }
}

async function ask(port, path, { body, ...options } = {}) {
  const asked = request({ host: '127.0.0.1', port, path, agent: false, ...options })
  const [res] = await once(asked.end(body), 'response')
  return { status: res.statusCode, headers: res.headers, body: (await text(res)).trim() }
}

/**
 * Starts both, asks in each way, and ends both.
 * @returns {Promise<{ answers: Record<string, { status: number, headers: Record<string, unknown>, body: string }>, refused: unknown[] }>}
 *   what clients got, and what the proxy tells its owner of it
 */
export async function askInEachWay() {
  const app = leakyApp()
  await once(app, 'listening')
  const { proxy, refused } = await guarded(`http://127.0.0.1:${app.address().port}`)
  try {
    const { port } = await proxy.listen()
    const link = signUrl('/media/film', { secret, expires: '1h' })
    return {
      refused,
      answers: {
        'a page': await ask(port, '/page'),
        'two hosts': await ask(port, '/page', { headers: { Host: 'a.example, b.example' } }),
        'a large body': await ask(port, '/page', { method: 'POST', body: 'x'.repeat(2_000) }),
        'nobody at /admin': await ask(port, '/admin', { headers: { 'X-User': 'root' } }),
        'alice at /admin': await ask(port, '/admin', { auth: 'alice:correct horse battery staple' }),
        'a link': await ask(port, link),
        'a link that was changed': await ask(port, link.replace('film', 'other')),
        'a page of another site': await ask(port, '/page', {
          method: 'OPTIONS',
          headers: { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'PUT' },
        }),
        'a search': await ask(port, '/search'),
        'a second one': await ask(port, '/search'),
        'a third one': await ask(port, '/search'),
      },
    }
  } finally {
    await proxy.close()
    app.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { answers } = await askInEachWay()
  for (const [what, { status, body }] of Object.entries(answers))
    console.log(`${what.padEnd(24)} ${status} ${body.split('\n')[0]}`)
}
