import { connect } from 'node:net'
import type { ConnectHook } from '@sluice/forward'
import { createProxy, type UpstreamOptions } from 'sluice'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { testCertificate } from '../kit/certificate.js'
import type { Answer } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { type Front, fronts, proxyOf, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { mountNamed } from '../kit/mounts.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

/** What no client may see: addresses, ports, names of files, stacks, our own words for targets. */
function expectDiscreet(answer: Answer, port?: number): void {
  const seen =
    answer.text + answer.headers.filter((_, i) => answer.headers[i - 1]?.toLowerCase() !== 'date').join('\n')
  expect(seen).not.toMatch(/127\.0\.0\.1|localhost|ECONN|UND_ERR|\bat \S+ \(|node:|\.js\b|\.ts\b/)
  if (port !== undefined) expect(seen).not.toContain(String(port))
}

describe.each(fronts)('errors through $name', (kind) => {
  it('a dead target gives 502 in plain words that name nobody', async () => {
    const seen = observer()
    const dead = own(await deadTarget())
    const front = own(await kind.start({ targets: dead.url, use: [seen.layer] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    expect(value(answer.headers, 'content-type')).toMatch(/^text\/plain/)
    expect(value(answer.headers, 'cache-control')).toBe('no-store')
    expect(answer.text).toMatch(/502/)
    expectDiscreet(answer, dead.port)
    expect(seen.codes).toEqual(['connection_refused'])
    await released(front)
    expect(await front.client.ask({ method: 'HEAD' })).toMatchObject({
      status: 502,
      text: '',
      complete: true,
    })
    expect(await front.client.ask({ method: 'POST', body: 'x'.repeat(100_000) })).toMatchObject({
      status: 502,
    })
    await released(front)
  })

  it('a target that comes to life is used again', async () => {
    const first = await originServer()
    const front = own(await kind.start(first.url))
    expect(await front.client.ask()).toMatchObject({ status: 200 })
    await first.close()
    expect(await front.client.ask()).toMatchObject({ status: 502 })
    const second = own(await originServer())
    front.upstream.replace([second.url])
    expect(await front.client.ask()).toMatchObject({ status: 200 })
  })

  it('nobody to send to gives 503', async () => {
    const seen = observer()
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    front.upstream.drain(front.upstream.all[0]?.id as string)
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 503, complete: true })
    expect(seen.codes).toEqual(['destination_unavailable'])
    expectDiscreet(answer, origin.port)
    front.upstream.undrain(front.upstream.all[0]?.id as string)
    expect(await front.client.ask()).toMatchObject({ status: 200 })
  })

  it('a layer that throws gives 500; its message goes to whoever runs the proxy and not to the client', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const origin = own(await originServer())
    const thrower = () => () => {
      throw new Error('secret of /srv/app/handler.js')
    }
    const front = own(await kind.start({ targets: origin.url, use: [thrower] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 500, complete: true })
    expect(answer.text).not.toContain('secret')
    expectDiscreet(answer)
    expect(origin.requests).toHaveLength(0)
    for (const [warning] of warn.mock.calls)
      expect(String(warning)).toContain('secret of /srv/app/handler.js')
  })
})

/** Answers that two parsers could read in two ways, or that none can read. */
const bad: readonly (readonly [name: string, bytes: string])[] = [
  ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['HTTP/0.9', '<html>hello</html>\r\n\r\n'],
  [
    'a length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!'],
  ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok!'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
  ['a length with a sign', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok'],
  ['a length in hex', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
  ['a length beyond all numbers', `HTTP/1.1 200 OK\r\nContent-Length: 9${'9'.repeat(30)}\r\n\r\nok`],
  ['a field with a space before its colon', 'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok'],
  ['a NUL in a field', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok'],
  ['a bare CR in a field', 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status above 599', 'HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok'],
  ['a version of the future', 'HTTP/7.7 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a head that is cut off', 'HTTP/1.1 200 OK\r\nContent-Le'],
  ['nothing', ''],
]

/** Bodies that are wrong behind a good head. */
const badBodies: readonly (readonly [name: string, bytes: string])[] = [
  [
    'a chunk size that is no number',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n',
  ],
  [
    'a chunk longer than its size',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokok\r\n0\r\n\r\n',
  ],
  ['a chunk size with a sign', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n'],
  [
    'a chunk size beyond all numbers',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'f'.repeat(20)}\r\nok`,
  ],
]

describe.each(twoFronts)('answers that cannot be relied on, through $name', (kind) => {
  it.each(bad)('%s: 502, and the end of that connection', async (_name, bytes) => {
    const seen = observer()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(bytes)
        connection.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false, use: [seen.layer] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    expectDiscreet(answer, origin.port)
    expect(seen.codes).toHaveLength(1)
    expect(['http_protocol_error', 'connection_terminated']).toContain(seen.codes[0])
    await released(front)
    await until(() => origin.sockets === 0, 'the connection to the target to close')
  })

  it('one of them does not hold up the next request', async () => {
    for (const [name, bytes] of bad) {
      const origin = own(
        await rawOrigin(async (connection) => {
          const head = await connection.head()
          await connection.write(
            head.startsWith('GET /ok') ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' : bytes,
          )
          if (!head.startsWith('GET /ok') && !bytes.includes('\r\n\r\n')) connection.end()
        }),
      )
      const targets = origin.url
      const front = own(await kind.start({ targets, retry: false, connections: 1, timeouts: { head: '3s' } }))
      const first = await front.client.ask()
      const second = await front.client.ask({ path: '/ok' })
      expect([name, first.status, second.status]).toEqual([name, 502, 200])
    }
  })

  it.each(badBodies)('%s: 502 or an aborted connection, never a whole answer', async (_name, bytes) => {
    const origin = own(await rawOrigin(answering(bytes)))
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const answer = await front.client.ask()
    if (answer.status === 200) expect(answer.complete).toBe(false)
    else expect(answer).toMatchObject({ status: 502, complete: true })
    await released(front)
    await until(() => origin.sockets === 0, 'the connection to the target to close')
  })

  it('bytes behind an answer are no answer to the next request', async () => {
    const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${poison}`)
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    for (let i = 0; i < 10; i++) {
      const answer = await front.client.ask()
      // The extra bytes may be noticed while the first answer is still on its way: then it is cut, which is safe.
      expect(answer.text).not.toContain('poison')
    }
    await released(front)
  })

  it('a body longer than its length is cut at its length', async () => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more')))
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const answer = await front.client.ask()
    expect(['ok', '502 Bad Gateway\n', '']).toContain(answer.text)
    await released(front)
    await until(() => origin.sockets === 0, 'the connection to the target to close')
  })

  it('a head without an end: 502 before it fills the memory', async () => {
    const seen = observer()
    let sent = 0
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\n')
        while (!connection.socket.destroyed && sent < 64 * 1024 * 1024) {
          await connection.write(`X-Endless-${sent}: ${'x'.repeat(1000)}\r\n`)
          sent += 1000
        }
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false, use: [seen.layer] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    expect(seen.codes).toEqual(['http_response_header_section_size'])
    expect(sent).toBeLessThan(8 * 1024 * 1024)
    await until(() => origin.sockets === 0, 'the connection to the target to close')
    await released(front)
  })

  it('TLS to a target that speaks none: 502', async () => {
    const seen = observer()
    const plain = own(
      await rawOrigin(async (connection) => {
        await connection.until(1)
        await connection.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
      }),
    )
    const front = own(await kind.start({ targets: `https://127.0.0.1:${plain.port}`, use: [seen.layer] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    expectDiscreet(answer, plain.port)
    expect(seen.codes).toEqual(['tls_protocol_error'])
    await released(front)
  })

  it.skipIf(testCertificate() === undefined)('a certificate that nobody vouches for: 502', async () => {
    const seen = observer()
    const secure = own(await mountNamed('node:https').serve({ listener: (_req, res) => void res.end() }))
    const front = own(await kind.start({ targets: `https://127.0.0.1:${secure.port}`, use: [seen.layer] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    expect(seen.codes).toEqual(['tls_certificate_error'])
    await released(front)
  })

  it('a name that does not resolve: 502', async () => {
    const seen = observer()
    // RFC 6761 section 6.4: no resolver knows it.
    const front = own(await kind.start({ targets: 'http://nobody.invalid', use: [seen.layer] }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    expect(answer.text).not.toContain('invalid')
    expect(seen.codes).toEqual(['dns_error'])
  })
})

describe('onError', () => {
  it('hears each error with its side and target, and what it returns goes out', async () => {
    const heard: string[] = []
    const dead = await originServer()
    await dead.close()
    const proxy = own(
      createProxy({
        upstreams: { a: dead.url },
        onError: (error, ctx) => {
          heard.push(`${error.code} ${error.source} ${error.phase} ${ctx.out.path}`)
          return ctx.out.path === '/own'
            ? { status: 599, headers: ['x-own', 'page'], body: 'sorry' }
            : undefined
        },
      }),
    )
    const front = own(await mountNamed('node:http').serve(proxy))
    const answer = await front.client.ask({ path: '/own' })
    expect(answer).toMatchObject({ status: 599, text: 'sorry' })
    expect(value(answer.headers, 'x-own')).toBe('page')
    expect(await front.client.ask({ path: '/' })).toMatchObject({ status: 502 })
    expect(heard).toEqual([
      'connection_refused upstream connect /own',
      'connection_refused upstream connect /',
    ])
  })

  it('that throws itself gives 500 and no crash', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const dead = await originServer()
    await dead.close()
    const onError = () => {
      throw new Error('secret')
    }
    const proxy = own(createProxy({ upstreams: { a: dead.url }, onError }))
    const front = own(await mountNamed('node:http').serve(proxy))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 500, complete: true })
    expect(answer.text).not.toContain('secret')
    expect(warn).toHaveBeenCalledOnce()
  })
})

describe('what is bad on the way in', () => {
  it('bytes that are no HTTP get 400 and leave nothing behind', async () => {
    const origin = own(await originServer())
    const built = own(proxyOf(origin.url))
    const { port } = await built.proxy.listen()
    const leaks = leakCheck()
    for (const bytes of [
      'garbage\r\n\r\n',
      '\x16\x03\x01\x02\x00',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
    ]) {
      const socket = connect(port, '127.0.0.1')
      const text = await new Promise<string>((resolve) => {
        let all = ''
        socket.on('data', (chunk) => (all += chunk))
        socket.on('error', () => {})
        socket.on('close', () => resolve(all))
        socket.write(Buffer.from(bytes, 'latin1'))
      })
      expect(text).toMatch(/^(HTTP\/1\.1 (400|505)|$)/)
    }
    expect(origin.requests).toHaveLength(0)
    await leaks.settled()
  })

  it('a listener that is called after the answer has begun does no harm', async () => {
    const origin = own(await originServer())
    const built = own(proxyOf(origin.url))
    const { createServer } = await import('node:http')
    const front = own(
      await listen(
        createServer((req, res) => {
          res.writeHead(200, { 'Content-Length': '8' })
          res.write('half')
          built.proxy.listener(req, res)
          res.end('half')
        }),
      ),
    )
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'halfhalf', complete: true })
    expect(origin.requests).toHaveLength(0)
  })
})

it.each<[string, (connect: ConnectHook) => Partial<UpstreamOptions>]>([
  ['the wire', (connect) => ({ connect })],
  ['HTTP/2', (connect) => ({ connect, http2: 'prior-knowledge' })],
])('no file left for a connection over %s is nobody else’s fault', async (_name, over) => {
  let lookups = 0
  const full = Object.assign(new Error('connect EMFILE'), { code: 'EMFILE', syscall: 'connect' })
  const connect: ConnectHook = {
    check: () => {},
    lookup: (_host, _options, callback) => {
      lookups++
      callback(full, '')
    },
  }
  const seen = observer()
  const proxy = createProxy({
    upstreams: { site: { targets: ['http://a.test', 'http://b.test'], ...over(connect) } },
    use: [seen.layer],
  })
  own({ close: () => proxy.close() })
  const { port } = await proxy.listen()
  const answer = await fetch(`http://127.0.0.1:${port}/`)
  expect([answer.status, seen.codes, lookups]).toEqual([503, ['proxy_overloaded'], 1])
  expect(proxy.upstreams.get('site')?.all.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
})
