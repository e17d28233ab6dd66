import { type Transport, undiciTransport, wireTransport } from '@sluice/forward'
import { createProxy, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'

const own = owner()

/** A way out by undici, such as a `ProxyAgent`, and what has gone by it. */
function counting() {
  const inner = undiciTransport()
  const paths: string[] = []
  const transport: Transport = {
    name: 'counting',
    accepts: (out, target) => inner.accepts(out, target),
    send(attempt) {
      paths.push(attempt.out.path)
      return inner.send(attempt)
    },
    close: (force) => inner.close(force),
  }
  own({ close: () => transport.close(true) })
  return { paths, transport }
}

async function through(transport: UpstreamOptions['transport']) {
  const origin = own(await originServer())
  const upstream: UpstreamOptions = { targets: [origin.url], ...(transport && { transport }) }
  const proxy = createProxy({ upstreams: { a: upstream } })
  own({ close: () => proxy.close({ drain: 0 }) })
  return { origin, client: own(httpClient(await proxy.listen())) }
}

/** What undici can't carry. */
const expecting = { method: 'POST', path: '/up', headers: ['Expect', '100-continue'], body: 'all' } as const
const asterisk = { method: 'OPTIONS', path: '*' } as const

describe('the transport of an upstream', () => {
  it('is followed by the wire, for what it cannot carry', async () => {
    const { paths, transport } = counting()
    const { client } = await through(transport)
    for (const each of [expecting, asterisk]) expect((await client.ask(each)).status).toBe(200)
    expect(paths).toEqual([])
    expect((await client.ask({ path: '/a' })).status).toBe(200)
    expect(paths).toEqual(['/a'])
  })

  it('is taken as it is in a list: nothing goes past a dispatcher', async () => {
    const { paths, transport } = counting()
    const { origin, client } = await through([transport])
    expect((await client.ask(expecting)).status).toBe(200)
    expect(paths).toEqual(['/up'])
    expect((await client.ask(asterisk)).status).toBe(501)
    expect(origin.requests.map(({ url }) => url)).toEqual(['/up'])
  })

  it('may be several, of which the first that can takes a request', async () => {
    const { paths, transport } = counting()
    const wire = wireTransport()
    own({ close: () => wire.close(true) })
    const { client } = await through([transport, wire])
    expect((await client.ask({ path: '/a' })).status).toBe(200)
    expect((await client.ask(asterisk)).status).toBe(200)
    expect(paths).toEqual(['/a'])
  })

  it.each([
    [
      'upstreams.a.transport: got [], takes a transport, such as wireTransport(), or a list',
      { transport: [] },
    ],
    ['upstreams.a.transport: got [ {} ], takes', { transport: [{}] }],
    [
      'upstreams.a.connections: got it with a list of transports',
      { transport: [wireTransport()], connections: 5 },
    ],
    ['upstreams.a.http2: got it with a transport', { transport: [wireTransport()], http2: 'alpn' }],
  ])('that is wrong is told: %s', (message, options) => {
    const upstream = { targets: ['http://127.0.0.1:1'], ...options } as unknown as UpstreamOptions
    expect(() => createProxy({ upstreams: { a: upstream } })).toThrow(message)
  })
})
