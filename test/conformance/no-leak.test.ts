import type { ServerResponse } from 'node:http'
import { type AnonymityOptions, anonymity, expectNoLeak, LeakError } from '@sluice/guard'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { deadTarget } from '../kit/dead-target.js'
import { type Front, type FrontKind, fronts, listening, listeningTls } from '../kit/fronts.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const name = 'app-1.internal'
const hiding = (url: string): AnonymityOptions => ({
  origins: [url, `http://${name}:3000`, 'http://10.20.0.5'],
  bodies: ['html', 'json'],
})

const kinds = fronts.filter(({ name: kind }) =>
  /listen\(\)$|HTTP\/2$|on Express 5$|attached|on node:http, over/.test(kind),
)

/** Answers that show who serves wherever they can. */
function boast(res: ServerResponse, port: number, status: number): void {
  const url = `http://127.0.0.1:${port}`
  res.writeEarlyHints({ link: `<http://${name}:3000/a.css>; rel=preload`, 'x-by': name })
  res.writeHead(status, [
    ...[
      'Server',
      name,
      'Via',
      `1.1 ${name}`,
      'X-Served-By',
      '10-20-0-5',
      'X-Note',
      `${name}:3000`,
      'X-Where',
      url,
    ],
    ...['Location', `http://${name}:3000/x?from=${encodeURIComponent(url)}`, 'Link', `<${url}/x>; rel=next`],
    ...[
      'Set-Cookie',
      `a=b; Domain=${name}`,
      'Content-Type',
      'text/html',
      'Trailer',
      'X-Last',
      'Alt-Svc',
      `h2="${name}:443"`,
    ],
    ...['Access-Control-Allow-Origin', url, 'WWW-Authenticate', `Basic realm="${url}"`],
  ])
  res.write(`<a href="${url}/x">http:`)
  res.write(`//10.20.0.5/</a>{"u":"http:\\/\\/${name}`)
  res.addTrailers({ 'X-Last': name })
  res.end(':3000\\/x"}')
}

async function started(kind: FrontKind, targets: string): Promise<Front> {
  const timeouts = { head: 40, connect: 40 }
  return own(await kind.start({ targets, retry: false, timeouts, use: [anonymity(hiding(targets))] }))
}

const urlOf = (kind: FrontKind, { port }: Front): string =>
  `${kind.tls ? 'https' : 'http'}://127.0.0.1:${port}`

describe.each(kinds)('no leak through $name', (kind) => {
  it('of a target that shows itself everywhere', async () => {
    const origin: Origin = own(
      await originServer((req, res) => {
        req.resume()
        const { pathname } = new URL(req.url ?? '', 'http://x')
        boast(res, origin.port, pathname === '/fails' ? 500 : pathname === '/' ? 200 : 302)
      }),
    )
    const front = await started(kind, origin.url)
    await expectNoLeak(urlOf(kind, front), [origin.url, `http://${name}:3000`, '10.20.0.5'], {
      paths: ['/', '/fails'],
    })
  })
})

/** Targets that fail, each in its way. */
const failing: Record<string, () => Promise<string>> = {
  'that is dead': async () => own(await deadTarget()).url,
  'that is dead, over TLS': async () => own(await deadTarget()).url.replace('http:', 'https:'),
  'that never answers': async () => own(await rawOrigin()).url,
  'that speaks no TLS': async () => (await saying('no')).replace('http:', 'https:'),
  'that nobody knows': async () => 'http://no-such-name.invalid:3000',
  'that speaks no HTTP': () => saying(`garbage of ${name}\r\n\r\n`),
  'with a field that is none': () => saying(`HTTP/1.1 200 OK\r\nX ${name}: y\r\n\r\n`),
  'with two lengths': () =>
    saying(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\nX: ${name}\r\n\r\n`),
  'that is cut': () =>
    saying(`HTTP/1.1 500 ${name}\r\nServer: ${name}\r\nContent-Length: 900\r\n\r\nat ${name}`),
}

async function saying(bytes: string): Promise<string> {
  const origin = await rawOrigin(async (connection) => {
    await connection.until(1)
    await connection.write(bytes)
    connection.end()
  })
  return own(origin).url
}

describe.each([listening, ...listeningTls.slice(1)])('no leak through $name', (kind) => {
  it.each(Object.keys(failing))('of a target %s', async (how) => {
    const url = await (failing[how] as () => Promise<string>)()
    const front = await started(kind, url)
    const secrets = [url, `http://${name}:3000`, 'ECONNREFUSED', 'ENOTFOUND']
    await expectNoLeak(urlOf(kind, front), secrets, { malformed: false, connections: 40 })
  })
})

it('without anonymity the same target shows: the test can fail', async () => {
  const origin: Origin = own(
    await originServer((req, res) => boast(res, origin.port, req.url === '/fails' ? 500 : 200)),
  )
  const front = own(await listening.start(origin.url))
  const error = await expectNoLeak(`http://127.0.0.1:${front.port}`, [name]).catch(
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(LeakError)
  const places = new Set((error as LeakError).leaks.map(({ where }) => where))
  for (const place of [
    'field Server',
    'field Via',
    'field Location',
    'field Set-Cookie',
    'body',
    'trailer X-Last',
    'field x-by of the 103',
  ])
    expect(places).toContain(place)
})

it('a proxy is taken as it is', async () => {
  const origin = own(await originServer())
  const proxy = createProxy({ upstreams: { default: origin.url } })
  await expectNoLeak(proxy, [origin.url])
  await proxy.close()
})
