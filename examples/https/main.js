// A proxy that takes TLS off a server which knows of none: HTTP/2 and HTTP/1.1 on one port, and plain HTTP beside it, which leads there.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { connect } from 'node:http2'
import { request as secureRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { devCertificate } from '@sluice/tls'
import { createProxy } from 'sluice'

/** What a client learns from an answer over HTTP/1.1. */
async function ask(send, options) {
  const [res] = await once(send({ host: 'localhost', path: '/page?x=1', ...options }).end(), 'response')
  return { version: res.httpVersion, status: res.statusCode, headers: res.headers, body: await text(res) }
}

async function askHttp2(port, ca) {
  const session = connect(`https://localhost:${port}`, { ca })
  const stream = session.request({ ':path': '/page?x=1' })
  const [headers] = await once(stream, 'response')
  const body = await text(stream)
  session.close()
  return { version: '2.0', status: headers[':status'], headers, body }
}

/**
 * Starts both, asks in each way, and ends both.
 * @returns {Promise<Record<'plain' | 'http1' | 'http2', { version: string, status: number, headers: Record<string, unknown>, body: string }>>}
 */
export async function askInEachWay() {
  const site = createServer((req, res) => {
    res.end(`${req.headers['x-forwarded-proto']}://${req.headers['x-forwarded-host']}${req.url}`)
  }).listen(0, '127.0.0.1')
  await once(site, 'listening')
  // In a folder that stays, its authority would have to be trusted once; without `folder` it is the user's own.
  const folder = await mkdtemp(join(tmpdir(), 'example-https-'))
  const { cert, key, ca } = await devCertificate({ folder })
  const proxy = createProxy({
    upstreams: { site: `http://127.0.0.1:${site.address().port}` },
    tls: { cert, key, redirect: 0, hsts: true },
  })
  try {
    const { port } = await proxy.listen(0, 'localhost')
    const [, plain] = proxy.addresses
    return {
      plain: await ask(request, { port: plain.port }),
      http1: await ask(secureRequest, { port, ca, agent: false }),
      http2: await askHttp2(port, ca),
    }
  } finally {
    await proxy.close()
    site.close()
    await rm(folder, { recursive: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [way, { version, status, headers, body }] of Object.entries(await askInEachWay())) {
    console.log(`${way.padEnd(6)} HTTP/${version} ${status} ${headers.location ?? body}`)
  }
}
