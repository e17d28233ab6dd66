import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { PassThrough, Readable } from 'node:stream'
import zlib from 'node:zlib'
import { type ConnectMiddleware, chain, fromConnect, toListener } from '@sluice/core'
import bare from 'compression'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Answer, Ask } from '../../../test/kit/client.js'
import { frameworks } from '../../../test/kit/frameworks.js'
import { listen, type Mounted } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { value, values } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { atRest, deferred, until } from '../../../test/kit/until.js'
import { compression } from './compression.js'
import type { CompressionOptions } from './compression-options.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

type App = (req: IncomingMessage, res: ServerResponse & { flush(): void }) => unknown

const text = 'a line that compresses well\n'.repeat(400)
const gzip = ['Accept-Encoding', 'gzip']

/** A server with this middleware in front of this app. */
async function serve(middleware: ConnectMiddleware, app: App, http2 = false): Promise<Mounted> {
  const listener = (req: unknown, res: unknown): void =>
    void middleware(req, res, () => void app(req as IncomingMessage, res as Parameters<App>[1]))
  return own(await listen(http2 ? createHttp2Server(listener) : createServer(listener), { http2 }))
}

/** What clients of the bare package and of ours get of the same app. */
async function both(app: App, ask: Ask = { headers: gzip }, options = {}): Promise<[Answer, Answer]> {
  const answers: Answer[] = []
  for (const middleware of [bare(options), compression(options)])
    answers.push(await (await serve(middleware, app)).client.ask(ask))
  return answers as [Answer, Answer]
}

const field = (name: string, ...answers: Answer[]): (string | undefined)[] =>
  answers.map(({ headers }) => value(headers, name))

/** On HTTP/2 `setHeader` gives nothing back. */
const plain = (res: ServerResponse): ServerResponse => {
  res.setHeader('Content-Type', 'text/plain')
  return res
}

/** The text that has come so far of an answer that is coded. */
function soFar(body: Readable): () => string {
  let found = ''
  const unpacked = body.pipe(zlib.createGunzip())
  body.on('error', () => {})
  unpacked.on('error', () => {})
  unpacked.on('data', (chunk: Buffer) => {
    found += chunk.toString()
  })
  return () => found
}

describe('what of the bare package has to be known, and is gone', () => {
  it('#17, #58: events go out while the stream is open', async () => {
    const held = deferred()
    const app: App = async (_req, res) => {
      res.setHeader('Content-Type', 'text/event-stream')
      res.write('data: 0\n\n')
      await held.promise
      res.end()
    }
    const theirs = (await serve(bare(), app)).client.call({ headers: gzip })
    const ours = (await serve(compression(), app)).client.call({ headers: gzip })
    const [theirText, ourText] = [soFar((await theirs.head).body), soFar((await ours.head).body)]
    await until(() => ourText() === 'data: 0\n\n', 'the event')
    expect(theirText()).toBe('')
    held.resolve()
    await until(() => theirText() === 'data: 0\n\n', 'the end')
  })

  it('each event of many goes out, and later ones refer to those before', async () => {
    const event = `data: ${'{"some":"thing that comes again"}'.repeat(10)}\n\n`
    const bytes = async (middleware: ConnectMiddleware, flushes: boolean): Promise<number> => {
      const go = new EventEmitter()
      const { client } = await serve(middleware, (_req, res) => {
        res.setHeader('Content-Type', 'text/event-stream')
        res.flushHeaders()
        go.on('event', () => {
          res.write(event)
          if (flushes) res.flush()
        })
        go.on('end', () => res.end())
      })
      const { body } = await client.call({ headers: gzip }).head
      const found = soFar(body)
      let length = 0
      body.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      for (let i = 1; i <= 20; i++) {
        go.emit('event')
        await until(() => found().length === i * event.length, `event ${i}`)
      }
      go.emit('end')
      await until(() => body.readableEnded, 'the end')
      return length
    }
    const theirs = await bytes(bare(), true)
    expect(await bytes(compression(), false)).toBeLessThan(theirs / 2)
    expect(await bytes(compression(), true)).toBeLessThan(theirs / 2)
  })

  it('#185: a part stays as it is', async () => {
    const part: App = (_req, res) => {
      plain(res).setHeader('Content-Range', `bytes 0-${text.length - 1}/90000`)
      res.statusCode = 206
      res.end(text)
    }
    const [theirs, ours] = await both(part)
    expect(field('content-encoding', theirs, ours)).toEqual(['gzip', undefined])
    expect(ours).toMatchObject({ status: 206, text })
    expect(field('content-length', theirs, ours)).toEqual([undefined, String(text.length)])
  })

  it('#45: a strong tag stands for one form of the bytes, a weak one for all', async () => {
    const [theirs, ours] = await both((_req, res) => plain(res).setHeader('ETag', '"1"').end(text))
    expect(field('etag', theirs, ours)).toEqual(['"1"', 'W/"1"'])
    const weak = await both((_req, res) => plain(res).setHeader('ETag', 'W/"1"').end(text))
    expect(field('etag', ...weak)).toEqual(['W/"1"', 'W/"1"'])
    const asItIs = await both((_req, res) => plain(res).setHeader('ETag', '"1"').end('short'))
    expect(field('etag', ...asItIs)).toEqual(['"1"', '"1"'])
  })

  it('fields that speak of the bytes before go with them', async () => {
    const digest = createHash('sha256').update(text).digest('base64')
    const names = ['Accept-Ranges', 'Content-MD5', 'Digest', 'Content-Digest', 'Repr-Digest']
    const [theirs, ours] = await both((_req, res) => {
      for (const name of names) res.setHeader(name, digest)
      plain(res).setHeader('Content-Length', text.length).end(text)
    })
    for (const name of names) expect(field(name, theirs, ours)).toEqual([digest, undefined])
    expect(field('content-length', theirs, ours)).toEqual([undefined, undefined])
    expect(zlib.gunzipSync(ours.body).toString()).toBe(text)
  })

  it('HEAD gets the fields of GET', async () => {
    const app: App = (_req, res) => {
      plain(res).setHeader('ETag', '"1"').setHeader('Content-Length', text.length).end(text)
    }
    const ask = { method: 'HEAD', headers: gzip }
    const [theirs, ours] = await both(app, ask)
    expect(field('content-length', theirs, ours)).toEqual([String(text.length), undefined])
    const [, got] = await both(app)
    for (const name of ['content-encoding', 'content-length', 'etag', 'vary'])
      expect(field(name, ours)).toEqual(field(name, got))
    expect(ours).toMatchObject({ status: 200, text: '', complete: true })
  })

  it('HEAD of what has no length says nothing of a coding, but that there may be one', async () => {
    const [, ours] = await both((_req, res) => plain(res).end(), { method: 'HEAD', headers: gzip })
    expect(field('content-encoding', ours)).toEqual([undefined])
    expect(field('vary', ours)).toEqual(['Accept-Encoding'])
  })

  it('Vary stands where another client would get another form, and nowhere else', async () => {
    const [theirs, ours] = await both((_req, res) => plain(res).end('short'))
    expect(field('vary', theirs, ours)).toEqual(['Accept-Encoding', undefined])
    const coded = zlib.gzipSync(text)
    const before = await both((_req, res) => plain(res).setHeader('Content-Encoding', 'gzip').end(coded))
    expect(field('vary', ...before)).toEqual(['Accept-Encoding', undefined])
    const refusing = await both((_req, res) => plain(res).setHeader('Vary', 'Cookie').end(text), {})
    expect(field('vary', ...refusing)).toEqual(['Cookie, Accept-Encoding', 'Cookie, Accept-Encoding'])
  })

  it('what has no content has no coding, whatever the threshold', async () => {
    for (const status of [204, 304]) {
      const [theirs, ours] = await both(
        (_req, res) => {
          plain(res).statusCode = status
          res.end()
        },
        undefined,
        { threshold: 0 },
      )
      expect(field('content-encoding', theirs, ours)).toEqual(['gzip', undefined])
      // In a 304 it would be the length of the 200 (RFC 9110 section 8.6).
      expect(field('content-length', ours)).toEqual([undefined])
      expect(ours).toMatchObject({ status, text: '', complete: true })
    }
    const [theirs, ours] = await both((_req, res) => plain(res).end(), undefined, { threshold: 0 })
    expect([theirs.body.length > 0, ours.body.length]).toEqual([true, 0])
  })

  it('a client that refuses the plain form gets a coded one, however short', async () => {
    const ask = { headers: ['Accept-Encoding', 'gzip, identity;q=0'] }
    const [theirs, ours] = await both((_req, res) => plain(res).end('short'), ask)
    expect(field('content-encoding', theirs, ours)).toEqual([undefined, 'gzip'])
    expect(zlib.gunzipSync(ours.body).toString()).toBe('short')
  })

  it('what is short has its length told', async () => {
    const [theirs, ours] = await both((_req, res) => plain(res).end('short'))
    expect(field('content-length', theirs, ours)).toEqual([undefined, '5'])
    expect(field('transfer-encoding', theirs, ours)).toEqual(['chunked', undefined])
  })

  it('#254: fields behind an empty reason stay', async () => {
    const [theirs, ours] = await both((_req, res) => {
      res.writeHead(200, undefined, { 'Content-Type': 'text/plain', 'X-Field': '1' })
      res.end(text)
    })
    expect(field('x-field', theirs, ours)).toEqual([undefined, '1'])
    expect(field('content-encoding', theirs, ours)).toEqual([undefined, 'gzip'])
  })

  it('#46: write and end call back, and end may have nothing but that', async () => {
    const called: string[] = []
    const app: App = (_req, res) => {
      plain(res)
      res.write(text, () => called.push('write'))
      res.write(text, 'utf8', () => called.push('write'))
      try {
        res.end(() => called.push('end'))
      } catch (error) {
        called.push((error as Error).name)
        res.destroy()
      }
    }
    await expect((await serve(bare(), app)).client.ask({ headers: gzip })).rejects.toThrow('hang up')
    expect(called.splice(0)).toEqual(['TypeError'])
    const ours = await (await serve(compression(), app)).client.ask({ headers: gzip })
    expect(zlib.gunzipSync(ours.body).toString()).toBe(text + text)
    expect(called).toEqual(['write', 'write', 'end'])
  })

  it('#135, #152: who waits for drain once hears it once, and leaves nothing behind', async () => {
    const listenersOf = async (middleware: ConnectMiddleware): Promise<string[]> => {
      const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
      const { client } = await serve(middleware, async (_req, res) => {
        plain(res)
        for (let i = 0; i < 20; i++) if (!res.write(text.repeat(8))) await once(res, 'drain')
        res.end()
      })
      const answer = await client.ask({ headers: gzip })
      expect(zlib.gunzipSync(answer.body)).toHaveLength(160 * text.length)
      const found = warned.mock.calls.map(([warning]) => String(warning))
      warned.mockRestore()
      return found
    }
    expect((await listenersOf(bare())).join()).toContain('drain listeners added')
    expect(await listenersOf(compression())).toEqual([])
  })
})

it('a stream that is piped comes whole', async () => {
  const { client } = await serve(compression(), (_req, res) => {
    Readable.from(Array.from({ length: 200 }, () => text)).pipe(plain(res))
  })
  const answer = await client.ask({ headers: gzip })
  expect(zlib.gunzipSync(answer.body).toString()).toBe(text.repeat(200))
})

it('what the app breaks off never looks whole', async () => {
  const { client } = await serve(compression(), (_req, res) => {
    plain(res).write(text, () => res.destroy())
  })
  const call = client.call({ headers: gzip })
  await call.head.catch(() => {})
  expect(
    await call.answer().then(
      ({ complete }) => complete,
      () => false,
    ),
  ).toBe(false)
})

describe('conditions of what a client has coded', () => {
  const app: App = (req, res) => {
    plain(res)
      .setHeader('ETag', '"1"')
      .setHeader('X-Seen', JSON.stringify(req.headers))
      .setHeader('X-Raw', req.rawHeaders.join())
    if (req.headers['if-none-match'] !== undefined) return void res.writeHead(304).end()
    if (req.headers.range !== undefined)
      return void res.writeHead(206, { 'Content-Range': 'bytes 0-3/9' }).end('part')
    res.end(text)
  }
  const seen = (...answers: Answer[]): Record<string, string>[] =>
    field('x-seen', ...answers).map((each) => JSON.parse(each as string))

  it('304 tells the tag that the client has, and Vary', async () => {
    const [theirs, ours] = await both(app, { headers: [...gzip, 'If-None-Match', '"0", W/"1"'] })
    expect(field('etag', theirs, ours)).toEqual(['"1"', 'W/"1"'])
    expect(field('vary', theirs, ours)).toEqual(['Accept-Encoding', 'Accept-Encoding'])
    const strong = await both(app, { headers: ['If-None-Match', '"1"'] })
    expect(field('etag', ...strong)).toEqual(['"1"', '"1"'])
    expect(values(ours.headers, 'content-length')).toEqual([])
  })

  it('304 without a type has Vary, too', async () => {
    const [theirs, ours] = await both((_req, res) => {
      res.setHeader('ETag', '"1"').writeHead(304)
      res.end()
    })
    expect(field('vary', theirs, ours)).toEqual([undefined, 'Accept-Encoding'])
  })

  it('If-Match names the tag as the app knows it', async () => {
    const [theirs, ours] = seen(
      ...(await both(app, { method: 'PUT', headers: [...gzip, 'If-Match', 'W/"1", "2"'] })),
    )
    expect([theirs?.['if-match'], ours?.['if-match']]).toEqual(['W/"1", "2"', '"1", "2"'])
  })

  it('no part of the plain bytes goes on with coded ones', async () => {
    const headers = [...gzip, 'Range', 'bytes=0-3', 'If-Range', 'W/"1"']
    const [theirs, ours] = await both(app, { headers })
    expect([theirs.status, ours.status]).toEqual([206, 200])
    expect(zlib.gunzipSync(ours.body).toString()).toBe(text)
    expect(field('x-raw', ours)[0]).not.toMatch(/range/i)
    const [, part] = await both(app, { headers: [...gzip, 'Range', 'bytes=0-3', 'If-Range', '"1"'] })
    expect(part).toMatchObject({ status: 206, text: 'part' })
    expect(field('vary', part)).toEqual(['Accept-Encoding'])
  })
})

describe.each([false, true])('over HTTP/2: %s', (http2) => {
  it('events go out as they come, and what is whole is coded', async () => {
    const held = deferred()
    const { client } = await serve(
      compression(),
      async (req, res) => {
        if (req.url === '/whole') {
          plain(res).setHeader('ETag', '"1"')
          return void res.end(text)
        }
        res.writeHead(200, { 'Content-Type': 'text/event-stream' })
        res.write('data: 0\n\n')
        await held.promise
        res.end('data: 1\n\n')
      },
      http2,
    )
    const whole = await client.ask({ path: '/whole', headers: gzip })
    expect(zlib.gunzipSync(whole.body).toString()).toBe(text)
    expect(field('etag', whole)).toEqual(['W/"1"'])
    const found = soFar((await client.call({ headers: gzip }).head).body)
    await until(() => found() === 'data: 0\n\n', 'the first event')
    held.resolve()
    await until(() => found() === 'data: 0\n\ndata: 1\n\n', 'the last event')
  })

  it('whoever leaves frees the codec, whatever the app writes after', async () => {
    const made = vi.spyOn(zlib, 'createGzip')
    const left = deferred()
    const wrote: boolean[] = []
    const { client } = await serve(
      compression(),
      (_req, res) => {
        plain(res).write(text)
        res.on('close', () => {
          for (let i = 0; i < 100; i++) wrote.push(res.write(text))
          res.end(text)
          res.end()
          res.flush()
          left.resolve()
        })
      },
      http2,
    )
    const call = client.call({ headers: gzip })
    await call.head
    call.abort()
    await left.promise
    expect(wrote).not.toContain(true)
    const codec = made.mock.results[0]?.value as zlib.Gzip
    await until(() => codec.closed, 'the codec')
    expect((codec as unknown as { _handle: unknown })._handle).toBeNull()
  })

  it('whoever does not read stops the app', async () => {
    let sent = 0
    const most = 200 * 1024 * 1024
    const noise = randomBytes(65536)
    const { client } = await serve(
      compression(),
      (_req, res) => {
        plain(res)
        const more = (): void => {
          while (sent < most) {
            sent += noise.length
            if (!res.write(noise)) return
          }
          res.end()
        }
        res.on('drain', more)
        more()
      },
      http2,
    )
    const call = client.call({ headers: gzip, path: '/' })
    ;(await call.head).body.pause()
    expect(await atRest(() => sent)).toBeLessThan(most / 2)
    call.abort()
  })
})

describe.each(frameworks)('in $name', ({ app: make }) => {
  it('codes what handlers answer, and leaves errors readable', async () => {
    const app = make()
    app.use(compression())
    app.use('/json', (_req: IncomingMessage, res: ServerResponse) => {
      res.setHeader('Content-Type', 'application/json')
      res.end(JSON.stringify({ text }))
    })
    app.use('/broken', (_req: IncomingMessage, res: ServerResponse) => void plain(res).writeHead(1000))
    const { client } = own(await listen(createServer(app)))
    const json = await client.ask({ path: '/json', headers: gzip })
    expect(JSON.parse(zlib.gunzipSync(json.body).toString())).toEqual({ text })
    vi.spyOn(console, 'error').mockImplementation(() => {})
    const broken = await client.ask({ path: '/broken', headers: gzip })
    expect(broken.status).toBe(500)
    expect(field('content-encoding', broken)).toEqual([undefined])
    expect(broken.text).toContain('<!DOCTYPE html>')
  })
})

it('stands in a chain by fromConnect', async () => {
  const source = new PassThrough()
  const handler = chain()
    .use(fromConnect(compression()))
    .handle((ctx) => ({
      status: 200,
      headers: ['Content-Type', 'text/event-stream', 'ETag', '"1"'],
      body: ctx.out.path === '/whole' ? text : source,
    }))
  const { client } = own(await listen(createServer(toListener(handler))))
  const whole = await client.ask({ path: '/whole', headers: gzip })
  expect(zlib.gunzipSync(whole.body).toString()).toBe(text)
  expect(field('etag', whole)).toEqual(['W/"1"'])
  source.write('data: 0\n\n')
  const found = soFar((await client.call({ headers: gzip }).head).body)
  await until(() => found() === 'data: 0\n\n', 'the event')
  source.end('data: 1\n\n')
  await until(() => found() === 'data: 0\n\ndata: 1\n\n', 'the end')
})

describe('options', () => {
  const coded = async (options: CompressionOptions, accept: string, type = 'text/plain'): Promise<Answer> => {
    const { client } = await serve(compression(options), (_req, res) =>
      res.setHeader('Content-Type', type).end(text),
    )
    return client.ask({ headers: ['Accept-Encoding', accept] })
  }

  it('encodings: what clients may get, in order of liking', async () => {
    const all = 'deflate, gzip, br'
    expect(field('content-encoding', await coded({}, all))).toEqual(['br'])
    expect(field('content-encoding', await coded({ encodings: ['gzip', 'br'] }, all))).toEqual(['gzip'])
    expect(field('content-encoding', await coded({ encodings: ['gzip'] }, 'br'))).toEqual([undefined])
    expect(field('content-encoding', await coded({}, 'br;q=0.1, gzip;q=0.5'))).toEqual(['gzip'])
    expect(field('content-encoding', await coded({}, `gzip, ${'x,'.repeat(5000)}`))).toEqual([undefined])
    const deflated = await coded({}, 'deflate')
    expect(zlib.inflateSync(deflated.body).toString()).toBe(text)
    expect(zlib.brotliDecompressSync((await coded({}, 'br')).body).toString()).toBe(text)
  })

  it('types: those that are none are coded for who takes nothing else, as by compress()', async () => {
    expect(field('content-encoding', await coded({}, 'gzip', 'image/png'))).toEqual([undefined])
    expect(field('content-encoding', await coded({}, 'gzip, identity;q=0', 'image/png'))).toEqual(['gzip'])
  })

  it('level: for each coding', async () => {
    const least = await coded({ level: { gzip: 1 } }, 'gzip')
    const most = await coded({ level: { gzip: 9, br: 0 } }, 'gzip')
    expect(most.body.length).toBeLessThan(least.body.length)
  })

  it('threshold and types', async () => {
    expect(field('content-encoding', await coded({ threshold: '64kb' }, 'gzip'))).toEqual([undefined])
    expect(field('content-encoding', await coded({}, 'gzip', 'image/png'))).toEqual([undefined])
    const types = (type: string): boolean => type === 'image/png'
    expect(field('content-encoding', await coded({ types }, 'gzip', 'image/png'))).toEqual(['gzip'])
  })

  it('tells all that is wrong with them', () => {
    const wrong = (options: unknown) => () => compression(options as CompressionOptions)
    expect(wrong({ encodings: ['zstd'] })).toThrow(
      `compression.encodings[0]: got 'zstd', takes 'br', 'gzip', 'deflate'`,
    )
    expect(wrong({ encodings: [] })).toThrow('compression.encodings: got [], takes one or more, each once')
    expect(wrong({ level: { gzip: 10 }, threshold: 'big' })).toThrow(
      /level\.gzip: got 10[\s\S]*threshold|threshold[\s\S]*level\.gzip: got 10/,
    )
    expect(wrong({ filter: () => true })).toThrow('compression.filter')
    expect(wrong({ types: 'text/*' })).toThrow('a function of the media type')
  })
})

it('is loaded when it is called, and not with the package', () => {
  const loads = (call: string): string =>
    execFileSync(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { createRequire } from 'node:module'
         const { compression } = await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)})
         ${call}
         const { cache } = createRequire(import.meta.url)
         process.stdout.write(String(Object.keys(cache).some((path) => /node_modules.compression.index/.test(path))))`,
      ],
      { encoding: 'utf8' },
    )
  expect([loads(''), loads('compression()')]).toEqual(['false', 'true'])
})

it('respects no-transform', async () => {
  const [theirs, ours] = await both((_req, res) =>
    plain(res).setHeader('Cache-Control', 'public, No-Transform').setHeader('ETag', '"1"').end(text),
  )
  expect(field('content-encoding', theirs, ours)).toEqual([undefined, undefined])
  expect(field('etag', ours)).toEqual(['"1"'])
  expect(values(ours.headers, 'vary')).toEqual([])
})
