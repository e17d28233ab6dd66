import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer as createRaw } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { expectNoLeak, LeakError, type NoLeakOptions } from './expect-no-leak.js'

const secret = 'app-1.internal'
type Plant = (req: IncomingMessage, res: ServerResponse) => void

const servers: { close(): unknown }[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** What is found of what is planted: each place once. */
async function found(
  plant: Plant | Server,
  options: NoLeakOptions = {},
  secrets = [secret],
): Promise<string[]> {
  try {
    await expectNoLeak(plant as never, secrets, options)
    return []
  } catch (error) {
    if (!(error instanceof LeakError)) throw error
    return [...new Set(error.leaks.map(({ where }) => where))].sort()
  }
}

/** An answer to one kind of request, and nothing of interest to all others. */
const only =
  (is: (req: IncomingMessage) => boolean, plant: Plant): Plant =>
  (req, res) => {
    if (is(req)) plant(req, res)
    else res.end('ok')
  }

const leaky: Plant = (_req, res) => void res.end(`by ${secret}`)

describe('finds what is planted in', () => {
  it.each<[string, Plant, string[]]>([
    ['a body', leaky, ['body']],
    ['a field', (_req, res) => void res.setHeader('X-By', secret).end(), ['field X-By']],
    [
      'the name of a field',
      (_req, res) => void res.setHeader(`x-${secret}`, '1').end(),
      [`field x-${secret}`],
    ],
    [
      'a repeated field',
      (_req, res) => void res.setHeader('Set-Cookie', ['a=1', `b=${secret}`]).end(),
      ['field Set-Cookie'],
    ],
    ['a status line', (_req, res) => void res.writeHead(200, `by ${secret}`).end(), ['status line']],
    [
      'a trailer',
      only(
        ({ method, httpVersion }) => method === 'GET' && httpVersion === '1.1',
        (_req, res) => {
          res.writeHead(200, { Trailer: 'X-By' })
          res.write('x')
          res.addTrailers({ 'X-By': secret })
          res.end()
        },
      ),
      ['trailer X-By'],
    ],
    [
      'chunks, between two of them',
      (_req, res) => {
        res.write('by app-1.')
        setImmediate(() => res.end('internal'))
      },
      ['body'],
    ],
    [
      'early hints',
      (_req, res) => res.writeEarlyHints({ link: `<//${secret}/a>; rel=preload` }, () => void res.end()),
      ['field Link of the 103'],
    ],
    [
      'coded bytes',
      only(
        (req) => req.headers['accept-encoding'] !== undefined,
        (_req, res) => void res.setHeader('Content-Encoding', 'gzip').end(gzipSync(`by ${secret}`)),
      ),
      ['body'],
    ],
  ])('%s', async (_name, plant, where) => expect(await found(plant)).toEqual(where))

  it.each<[string, (req: IncomingMessage) => boolean]>([
    ['HEAD', (req) => req.method === 'HEAD'],
    ['OPTIONS', (req) => req.method === 'OPTIONS'],
    ['TRACE', (req) => req.method === 'TRACE'],
    ['POST', (req) => req.method === 'POST'],
    ['a method that there is not', (req) => req.method === 'PROPFIND'],
    ['ranges', (req) => req.headers.range !== undefined],
    ['conditions', (req) => req.headers['if-none-match'] !== undefined],
    ['dates', (req) => req.headers['if-modified-since'] !== undefined],
    ['no such page', (req) => (req.url ?? '').includes('no-such-page')],
    ['CORS', (req) => req.headers.origin !== undefined],
    ['JSON', (req) => req.headers.accept === 'application/json'],
    ['HTTP/1.0', (req) => req.httpVersion === '1.0'],
    ['debugging', (req) => req.headers['x-debug'] === '1'],
    ['caches', (req) => req.headers['cache-control'] === 'only-if-cached'],
    ['dot segments', (req) => (req.url ?? '').includes('..')],
    ['a URL in full', (req) => (req.url ?? '').startsWith('http://')],
    ['OPTIONS *', (req) => req.url === '*'],
    ['a path of 12 KB', (req) => (req.url ?? '').length > 10_000],
    ['another Host', (req) => req.headers.host === 'elsewhere.example'],
    ['a cookie of its own', (req) => req.headers.cookie === 'a=b' && req.method === 'GET'],
  ])('answers to %s alone', async (_name, is) => {
    const plant = only(is, (_req, res) => void res.setHeader('X-By', secret).end())
    expect(await found(plant, { headers: ['Cookie: a=b'] })).toEqual(['field X-By'])
    expect(
      await found(
        only(is, (_req, res) => void res.end()),
        { headers: ['Cookie: a=b'] },
      ),
    ).toEqual([])
  })

  it('a path that is listed, and a request of one’s own', async () => {
    const at = only((req) => req.url === '/deep', leaky)
    expect(await found(at)).toEqual([])
    expect(await found(at, { paths: ['/', '/deep'] })).toEqual(['body'])
    const requests = ['GET /deep HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n']
    expect(await found(at, { requests })).toEqual(['body'])
  })

  it('answers to what is malformed, and what follows a 101', async () => {
    const server = createServer((_req, res) => res.end('ok'))
    server.on('clientError', (_error, socket) =>
      socket.end(`HTTP/1.1 400 Bad Request\r\nServer: ${secret}\r\n\r\n`),
    )
    expect(await found(server)).toEqual(['field Server'])
    const upgrading = createServer((_req, res) => res.end('ok'))
    upgrading.on('upgrade', (_req, socket) => {
      socket.on('error', () => {})
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nX-By: ${secret}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n${secret}`,
      )
    })
    expect(await found(upgrading)).toEqual(['bytes', 'field X-By of the 101'])
  })

  it('answers over HTTP/2', async () => {
    const server = createHttp2Server((_req, res) => {
      res.setHeader('x-by', secret)
      res.end(`by ${secret}`)
    })
    expect(await found(server as never)).toEqual(['body', 'field x-by'])
  })

  it('bytes that are no answer', async () => {
    const server = createRaw((socket) => {
      socket.on('error', () => {})
      socket.end(`HTTP/1.1 204 No Content\r\n\r\n${secret}`)
    })
    expect(await found(server as never)).toEqual(['bytes'])
  })
})

describe('says', () => {
  it('which request, where, which secret, in which disguise', async () => {
    const plant = only(
      (req) => req.method === 'TRACE',
      (_req, res) => void res.setHeader('X-By', 'APP-1.INTERNAL').end(),
    )
    const error = await expectNoLeak(plant, ['http://app-1.internal:3000']).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(LeakError)
    expect((error as Error).message).toMatch(
      /^3 leaks in \d+ answers\n {2}TRACE \/: field X-By shows app-1\.internal of http:\/\/app-1\.internal:3000, in another case: "X-By: APP-1\.INTERNAL"\n/,
    )
  })

  it('thirty of them, and how many more', async () => {
    const error = await expectNoLeak(leaky, [secret]).catch((thrown: unknown) => thrown)
    const { leaks, message } = error as LeakError
    expect(message.split('\n')).toHaveLength(32)
    expect(message).toContain(`and ${leaks.length - 30} more`)
  })

  it('nothing where nothing shows, and leaves servers as they were', async () => {
    const server = createServer((_req, res) => res.end('ok'))
    await expectNoLeak(server, [secret, 'http://127.0.0.1:1'])
    expect(server.listening).toBe(false)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    servers.push(server)
    await expectNoLeak(server, [secret])
    expect(server.listening).toBe(true)
    const { port } = server.address() as { port: number }
    await expectNoLeak(`http://127.0.0.1:${port}`, [secret])
    await expectNoLeak({ listener: (_req: never, res: never) => (res as ServerResponse).end() }, [secret])
  })

  it('that nothing was answered, which proves nothing', async () => {
    const server = createRaw((socket) => socket.destroy())
    await expect(expectNoLeak(server, [secret])).rejects.toThrow(/no answer at all/)
  })

  it('the same of answers that never come, and waits no longer than it is told to', async () => {
    const server = createRaw((socket) => void socket.on('error', () => {}).resume())
    const silent = expectNoLeak(server, [secret], { timeout: 20, connections: 100 })
    await expect(silent).rejects.toThrow(/no answer at all/)
  })
})

it.each([
  [[], {}, /secrets/],
  [[''], {}, /secrets\[0\]/],
  [[secret], { paths: [] }, /expectNoLeak\.paths/],
  [[secret], { paths: ['x'] }, /expectNoLeak\.paths\[0\]/],
  [[secret], { host: 'a b' }, /expectNoLeak\.host/],
  [[secret], { headers: ['x'] }, /expectNoLeak\.headers\[0\]/],
  [[secret], { timeout: 'soon' }, /expectNoLeak\.timeout/],
  [[secret], { other: 1 }, /expectNoLeak\.other/],
])('wrong arguments: %j %j', async (secrets, options, message) => {
  await expect(expectNoLeak(leaky, secrets, options as never)).rejects.toThrow(message)
  await expect(expectNoLeak(leaky, secrets, options as never)).rejects.toThrow(TypeError)
})

it.each(['127.0.0.1:80', 'ftp://x', 3, undefined, {}])('no app: %j', async (app) => {
  await expect(expectNoLeak(app as never, [secret])).rejects.toThrow(TypeError)
})
