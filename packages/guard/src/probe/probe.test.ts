import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { owner } from '../../../../test/kit/owner.js'
import { trapUnhandled } from '../../../../test/kit/trap-unhandled.js'
import { corpus } from './corpus.js'
import { type ProbeReport, probe } from './index.js'

trapUnhandled()
const own = owner()

/** A server of bytes: what it does with each piece that comes. */
async function bytesServer(onData: (socket: Socket, bytes: string) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => onData(socket, chunk.toString('latin1')))
  })
  return listening(server, () => {
    for (const socket of sockets) socket.destroy()
  })
}

async function listening(server: Server, before = () => {}): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  own({
    close: () => {
      before()
      return new Promise((resolve) => void server.close(resolve))
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const ok = 'HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n'
const bad = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
const isPlain = (id: string): boolean => id.startsWith('plain-') || id === 'target-asterisk-options'
/** Those that only what is behind the answer tells apart, or that any answer is right for. */
const upgrades = corpus.filter(({ id }) => id.startsWith('upgrade-')).map(({ id }) => id)
const ids = (report: ProbeReport, verdict: string): string[] =>
  report.results.filter((each) => each.verdict === verdict).map(({ id }) => id)

describe('the corpus', () => {
  it('has each case once, with a source', () => {
    expect(new Set(corpus.map(({ id }) => id)).size).toBe(corpus.length)
    expect(corpus.filter(({ source }) => !/^RFC \d+ section \d/.test(source))).toEqual([])
    expect(corpus.length).toBeGreaterThan(160)
  })

  it('sends bytes that are one character each', () => {
    for (const { send } of corpus) {
      for (const { bytes } of send({ host: 'a:1', path: '/' })) {
        expect(Buffer.from(bytes, 'latin1').toString('latin1')).toBe(bytes)
      }
    }
  })
})

describe('a probe', () => {
  it('finds nothing right with a server that says 200 to everything', async () => {
    const url = await bytesServer((socket) => void socket.write(ok))
    const report = await probe(url, { timeout: '1s' })
    const right = ids(report, 'right').filter((id) => !isPlain(id) && !upgrades.includes(id))
    // A connection without a byte has nothing that could get through, and half a head got 200.
    expect(right).toEqual([
      'name-length-underscore',
      'name-coding-underscore',
      'name-length-space',
      'name-length-tab',
      'size-target-usual',
      'size-nothing',
    ])
    expect(report.wrong.length).toBeGreaterThan(100)
  })

  it('finds every good request refused by a server that says 400 to everything', async () => {
    const url = await bytesServer((socket) => void socket.end(bad))
    const report = await probe(url)
    const wrong = ids(report, 'wrong')
    expect(wrong).toEqual(
      expect.arrayContaining(
        corpus
          .filter(
            ({ id }) =>
              isPlain(id) && !['plain-http10-expect', 'plain-no-content', 'plain-not-allowed'].includes(id),
          )
          .map(({ id }) => id),
      ),
    )
    expect(wrong.filter((id) => !isPlain(id))).toEqual(['field-expect-unknown'])
  })

  it('is over in time where a server answers the first request alone', async () => {
    let first = true
    const url = await bytesServer((socket) => {
      if (first) socket.write(ok)
      first = false
    })
    const report = await probe(url, { timeout: '1s', only: ['host-twice', 'size-head-cut'] })
    expect(report.results.find(({ id }) => id === 'host-twice')).toMatchObject({
      got: 'no answer',
      verdict: 'wrong',
    })
    expect(report.results.find(({ id }) => id === 'size-head-cut')).toMatchObject({ verdict: 'right' })
  })

  it('opens no more connections at a time than it may', async () => {
    const waiting: Socket[] = []
    const batches: number[] = []
    const url = await bytesServer((socket, bytes) => {
      if (bytes.startsWith('GET / HTTP/1.1\r\nHost: 127')) return void socket.end(ok)
      waiting.push(socket)
      // Whoever comes after the third comes too early.
      if (waiting.length !== 3) return
      setImmediate(() => {
        setImmediate(() => {
          batches.push(waiting.length)
          for (const each of waiting.splice(0)) each.end(ok)
        })
      })
    })
    const only = ['length-word', 'length-plus', 'length-minus', 'length-hex', 'length-octal', 'length-list']
    await probe(url, { connections: 3, only })
    expect(batches).toEqual([3, 3])
  })

  it('reads no answer that has no end', async () => {
    const url = await bytesServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const piece = Buffer.alloc(1 << 16)
      const more = (): void => {
        while (socket.writable && socket.write(piece)) {}
      }
      socket.on('drain', more)
      more()
    })
    const report = await probe(url, { only: ['host-twice'], timeout: '10s' })
    expect(report.wrong.map(({ got }) => got)).toEqual(['200, closed'])
  })

  it('shows nothing that a server has said', async () => {
    const url = await bytesServer(
      (socket) => void socket.end('HTTP/1.1 200 \x1b[31m\r\nX: \x1b]0;\r\n\r\n<script>'),
    )
    expect(JSON.stringify(await probe(url))).not.toMatch(/script|\\u001b/)
  })

  it('asks for the path of its target', async () => {
    const heard = new Set<string>()
    const url = await bytesServer((socket, bytes) => {
      heard.add(bytes.split('\r\n')[0] as string)
      socket.end(ok)
    })
    await probe(`${url}/api/x?y=z`, { only: ['host-twice', 'target-backslash'] })
    expect([...heard].sort()).toEqual(['GET /api/x?y=z HTTP/1.1', 'GET /api/x?y=zup\\down HTTP/1.1'])
  })

  it('sees that a body was left unread, and taken for a request', async () => {
    // Whatever ends with an empty line is a request to it.
    const url = await bytesServer((socket, bytes) => {
      const closes = bytes.includes('Connection: close')
      for (const _ of bytes.split('\r\n\r\n').slice(1)) socket.write(ok)
      if (closes) socket.end()
    })
    const bodies = corpus.filter(({ id }) => id.startsWith('body-')).map(({ id }) => id)
    const report = await probe(url, { only: bodies })
    expect(bodies.length).toBeGreaterThan(3)
    expect(ids(report, 'wrong')).toEqual(bodies)
  })

  it('tells of a bare Node server what Node lets through', async () => {
    const server = createHttpServer((req, res) => {
      req.resume().on('end', () => res.end())
    })
    const report = await probe(await listening(server))
    const wrong = report.wrong.map(({ id }) => id)
    expect(wrong).toEqual(
      expect.arrayContaining(['target-asterisk', 'host-empty', 'host-twice', 'host-list']),
    )
    // A later Node may do more by itself.
    expect([
      'target-asterisk',
      'host-empty',
      'host-twice',
      'host-twice-same',
      'host-list',
      'host-userinfo',
      'host-path',
      'coding-empty',
      'chunk-extension-long',
    ]).toEqual(expect.arrayContaining(wrong))
  })
})

describe('a target', () => {
  it.each([
    ['not a url', "target: got 'not a url', takes a URL"],
    ['ftp://127.0.0.1/', "target: got 'ftp://127.0.0.1/'"],
    ['http://192.0.2.1/', 'target: 192.0.2.1, which is not this machine'],
    ['http://[2001:db8::1]:80/', 'target: 2001:db8::1, which is not this machine'],
    ['http://[::ffff:10.0.0.1]/', 'which is not this machine'],
    ['http://0.0.0.0:1/', 'target: 0.0.0.0, which is not this machine'],
  ])('%s is refused', async (target, message) => {
    await expect(probe(target)).rejects.toThrow(TypeError)
    await expect(probe(target)).rejects.toThrow(message)
  })

  it('by name is found at whichever of its addresses its server listens', async () => {
    const { port } = new URL(await bytesServer((socket) => void socket.end(ok)))
    const { results } = await probe(`http://localhost:${port}/`, { only: ['length-plus'] })
    expect(results).toMatchObject([{ id: 'length-plus', got: '200, closed' }])
  })

  it('with a password is refused, and the password not shown', async () => {
    const refused = probe('http://me:hunter2@127.0.0.1/')
    await expect(refused).rejects.toThrow('credentials')
    await expect(refused).rejects.not.toThrow('hunter2')
  })

  it('that is somebody’s own may be elsewhere: then it is connected to', async () => {
    await expect(probe('http://0.0.0.0:1/', { ownThis: true })).rejects.toThrow('ECONNREFUSED')
  })

  it('where nobody listens is no target that passes', async () => {
    const url = await bytesServer((socket) => void socket.destroy())
    await expect(probe(url)).rejects.toThrow('does not answer a plain GET: closed')
    await expect(probe('http://127.0.0.1:1/')).rejects.toThrow('ECONNREFUSED')
    await expect(probe('https://127.0.0.1:1/')).rejects.toThrow('ECONNREFUSED')
  })

  it('of no TLS is told so', async () => {
    const url = await bytesServer((socket) => void socket.end(bad))
    await expect(probe(url.replace('http:', 'https:'))).rejects.toThrow()
  })
})

it.each([
  [{ timeout: 0 }, 'probe.timeout: got 0'],
  [{ timeout: 'soon' }, 'probe.timeout'],
  [{ connections: 0 }, 'probe.connections: got 0'],
  [{ only: ['nix'] }, "probe.only[0]: got 'nix', takes the id of a case"],
  [{ ownthis: true }, 'probe.ownthis: unknown option, did you mean ownThis?'],
])('%j is a wrong option', async (options, message) => {
  await expect(probe('http://127.0.0.1:1/', options as object)).rejects.toThrow(message)
})
