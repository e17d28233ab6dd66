import { randomBytes } from 'node:crypto'
import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { balance } from '@sluice/balance'
import { type Body, type Context, chain, type EndSink, type Spent, toListener } from '@sluice/core'
import { forward, wireTransport } from '@sluice/forward'
import { retry } from '@sluice/resilience'
import { createUpstream } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { send, targetOf } from '../kit/attempt.js'
import { chainOf, type FrontKind, fronts, listening } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { echo, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Large enough for many parts, each of them worth freeing. */
const size = 3 * 1024 * 1024

/** Takes a body, and uses each part up in a later turn. */
class Using implements EndSink {
  readonly parts: Uint8Array[] = []
  readonly sizes: number[] = []
  readonly bytes: Buffer[] = []
  /** Whether it may free each part. */
  readonly may: boolean[] = []
  readonly over = deferred<void>()

  constructor(body: Body) {
    body.pipe(this)
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    this.parts.push(chunk)
    this.sizes.push(chunk.length)
    this.bytes.push(Buffer.from(chunk))
    this.may.push(spent !== undefined)
    setImmediate(() => {
      spent?.(chunk)
      // A second time it does nothing.
      spent?.(chunk)
    })
    return true
  }

  end(): void {
    setImmediate(() => this.over.resolve())
  }

  /** What is left of the parts. */
  get left(): number[] {
    return this.parts.map(({ length }) => length)
  }

  abort(error: Error): void {
    this.over.reject(error)
  }

  onDrain(): void {}
}

/** A server with an echoing origin behind it; `seen` sees each request and its response before the proxy does. */
async function proxied(
  seen: (req: IncomingMessage, res: ServerResponse) => void,
  layer: (ctx: Context) => void = () => {},
): Promise<Awaited<ReturnType<typeof listen>>> {
  const origin = own(await originServer(echo))
  const built = own(
    chainOf({
      targets: origin.url,
      retry: false,
      use: [
        (next) => (ctx) => {
          layer(ctx)
          return next(ctx)
        },
      ],
    }),
  )
  const listener = toListener(built.handler)
  const server = createServer((req, res) => {
    seen(req, res)
    listener(req, res)
  })
  return own(await listen(server))
}

describe('the memory of a request’s parts', () => {
  it('is given back as they are used up', async () => {
    const used = deferred<Using>()
    const listener = toListener(async ({ out }) => {
      const using = new Using(out.body as Body)
      used.resolve(using)
      await using.over.promise
      return { status: 204, headers: [], body: null }
    })
    const server = own(await listen(createServer(listener)))
    const body = randomBytes(size)
    await server.client.call({ method: 'PUT', body }).answer()
    const { bytes, left: after, sizes } = await used.promise
    expect(Buffer.concat(bytes).equals(body)).toBe(true)
    // The parser gives each part in a buffer of its own.
    expect(after).toEqual(sizes.map((length) => (length < 16 * 1024 ? length : 0)))
  })

  it.each([
    [
      'listens, before it flows',
      (ctx: Context, keep: (part: Buffer) => void) => {
        ctx.req.on('data', keep)
        ctx.req.pause()
      },
    ],
    [
      'reads by `readable`',
      ({ req }: Context, keep: (part: Buffer) => void) => {
        req.prependOnceListener('resume', () =>
          req.on('readable', () => {
            for (let part = req.read() as Buffer | null; part !== null; part = req.read() as Buffer | null)
              keep(part)
          }),
        )
      },
    ],
    [
      'listens once, ahead of the proxy',
      ({ req }: Context, keep: (part: Buffer) => void) => {
        req.once('resume', () => {
          req.prependOnceListener('data', keep)
          req.prependOnceListener('data', keep)
        })
      },
    ],
    [
      'has replaced `emit`',
      ({ req }: Context, keep: (part: Buffer) => void) => {
        const { emit } = req
        req.emit = (name: string | symbol, ...args: unknown[]) => {
          if (name === 'data') keep(args[0] as Buffer)
          return emit.call(req, name, ...args)
        }
      },
    ],
    [
      'has replaced `push`',
      ({ req }: Context, keep: (part: Buffer) => void) => {
        const { push } = req
        req.push = (part: Buffer | null, encoding?: BufferEncoding) => {
          if (part !== null) keep(part)
          return push.call(req, part, encoding)
        }
      },
    ],
    [
      'has replaced `read`',
      ({ req }: Context, keep: (part: Buffer) => void) => {
        const { read } = req
        req.read = (n?: number) => {
          const part = read.call(req, n) as Buffer | null
          if (part !== null) keep(part)
          return part
        }
      },
    ],
    [
      'has replaced `on`',
      ({ req }: Context, keep: (part: Buffer) => void) => {
        const on = req.on as (name: string, listener: (...args: unknown[]) => void) => unknown
        const listening = (name: string, listener: (...args: unknown[]) => void): unknown =>
          on.call(req, name, (...args: unknown[]) => {
            if (name === 'data') keep(args[0] as Buffer)
            listener(...args)
          })
        req.on = listening as typeof req.on
      },
    ],
  ])('is left alone where other code %s', async (_name, watch) => {
    const kept: Buffer[] = []
    const lengths: number[] = []
    const server = await proxied(
      () => {},
      (ctx) =>
        watch(ctx, (part) => {
          kept.push(part)
          lengths.push(part.length)
        }),
    )
    const body = randomBytes(size)
    const call = server.client.call({ method: 'PUT', open: true })
    call.body.write(body.subarray(0, size / 2))
    const { body: reply } = await call.head
    // Not before some of it has come back: else a busy machine may hand all of it over in one part.
    reply.once('data', () => call.body.end(body.subarray(size / 2)))
    expect((await buffer(reply)).equals(body)).toBe(true)
    // What comes while it flows passes by `read`: of that there may be one part, which was used up as well.
    expect(kept.length).toBeGreaterThan(0)
    expect(kept.map(({ length }) => length)).toEqual(lengths)
  })

  it('is left alone from the moment on at which other code listens', async () => {
    const kept: Buffer[] = []
    const inbound = deferred<IncomingMessage>()
    const server = await proxied((req) => inbound.resolve(req))
    const body = randomBytes(size)
    const call = server.client.call({ method: 'PUT', open: true })
    call.body.write(body.subarray(0, size / 2))
    const { body: reply } = await call.head
    ;(await inbound.promise).on('data', (part: Buffer) => kept.push(part))
    const came = deferred<void>()
    let read = 0
    reply.on('data', (part: Buffer) => {
      read += part.length
      if (read === size) came.resolve()
    })
    call.body.end(body.subarray(size / 2))
    await within(came.promise, 'the rest of the echo')
    const parts = Buffer.concat(kept)
    expect(parts.length).toBeGreaterThanOrEqual(size / 2)
    expect(parts.equals(body.subarray(-parts.length))).toBe(true)
  })

  it('is left alone where other code reads the socket', async () => {
    const kept: Buffer[] = []
    const origin = own(await originServer(echo))
    const built = own(chainOf(origin.url))
    const server = createServer(toListener(built.handler))
    server.on('connection', (socket) => socket.on('data', (part: Buffer) => kept.push(part)))
    const { client } = own(await listen(server))
    const body = randomBytes(size)
    expect((await client.call({ method: 'PUT', body }).answer()).body.equals(body)).toBe(true)
    expect(Buffer.concat(kept).subarray(-size).equals(body)).toBe(true)
  })
})

describe('the memory of what a retry keeps', () => {
  it('is left alone while another try may need it', async () => {
    const dying = own(await originServer((req) => void req.on('end', () => req.socket.destroy()).resume()))
    const origin = own(await originServer(echo))
    const front = own(
      await listening.start({
        targets: [dying.url, origin.url],
        retry: { methods: ['PUT'], backoff: { base: 0, max: 0 } },
      }),
    )
    for (let i = 0; i < 2; i++) {
      const body = randomBytes(48 * 1024)
      const answer = await front.client.call({ method: 'PUT', body }).answer()
      expect(answer.body.equals(body)).toBe(true)
    }
    expect(dying.requests.length).toBeGreaterThan(0)
  })

  it('is given back past the cap', async () => {
    const used = deferred<Using>()
    const listener = toListener(
      retry({ replay: '64kb' })(async ({ out }) => {
        const using = new Using(out.body as Body)
        used.resolve(using)
        await using.over.promise
        return { status: 204, headers: [], body: null }
      }),
    )
    const server = own(await listen(createServer(listener)))
    const body = randomBytes(size)
    await server.client.call({ method: 'PUT', body, chunked: true }).answer()
    const { bytes, may, sizes } = await used.promise
    expect(Buffer.concat(bytes).equals(body)).toBe(true)
    expect(may[0]).toBe(false)
    const large = may.filter((_, i) => i > 8 && (sizes[i] as number) >= 16 * 1024)
    expect(large.length).toBeGreaterThan(8)
    expect(new Set(large)).toEqual(new Set([true]))
  })
})

describe('what Node’s parser hasn’t read', () => {
  it('is left alone', async () => {
    const origin = own(await originServer())
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const upstream = createUpstream({ name: 'adapted', targets: [origin.url] })
    own(upstream)
    const listener = toListener(
      chain()
        .use(balance(upstream))
        .handle(forward({ transport: [transport] })),
    )
    const req = new IncomingMessage(new Socket())
    req.rawHeaders = ['Host', 'a', 'Content-Length', '200000']
    req.headers = { host: 'a', 'content-length': '200000' }
    Object.assign(req, {
      method: 'PUT',
      url: '/',
      httpVersion: '1.1',
      httpVersionMajor: 1,
      httpVersionMinor: 1,
    })
    const bytes = Buffer.from(new ArrayBuffer(200_000)).fill('x')
    req.push(bytes)
    req.push(null)
    const res = new ServerResponse(req)
    res.assignSocket(new PassThrough() as unknown as Socket)
    listener(req, res)
    const body = await (await origin.request(0)).body()
    expect(body.equals(Buffer.alloc(200_000, 'x'))).toBe(true)
    expect(bytes.length).toBe(200_000)
    res.destroy()
  })

  it('goes on as bytes where a host app has set an encoding', async () => {
    const server = await proxied((req) => void req.setEncoding('utf8'))
    const text = 'ä€😀'.repeat(size / 8)
    const answer = await server.client.call({ method: 'PUT', body: text }).answer()
    expect(answer.body.equals(Buffer.from(text))).toBe(true)
  })
})

describe('a body of others around ours', () => {
  it.each([
    ['by its prototype', (body: Body) => Object.create(body) as Body],
    [
      'as a copy',
      (body: Body) => ({ ...body, readable: () => body.readable(), cancel: () => body.cancel() }) as Body,
    ],
  ])('keeps what it keeps, %s', async (_name, around) => {
    const kept: Uint8Array[] = []
    const server = await proxied(
      () => {},
      ({ out }) => {
        const body = out.body as Body
        const outer = around(body)
        outer.pipe = (to) =>
          body.pipe({
            write(chunk) {
              kept.push(chunk)
              return to.write(chunk)
            },
            end: (trailers) => to.end(trailers),
            abort: (error) => to.abort(error),
            onDrain: (fn) => to.onDrain(fn),
          })
        out.body = outer
      },
    )
    const bytes = randomBytes(size)
    const answer = await server.client.call({ method: 'PUT', body: bytes }).answer()
    expect(answer.body.equals(bytes)).toBe(true)
    expect(Buffer.concat(kept).equals(bytes)).toBe(true)
  })
})

describe('the memory of a reply’s parts', () => {
  it('is given back as they are used up', async () => {
    const body = randomBytes(size)
    const origin = own(await originServer((_req, res) => res.end(body)))
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const { body: reply } = await send(transport, targetOf({ url: origin.url }))
    const using = new Using(reply as Body)
    await within(using.over.promise, 'the reply')
    expect(Buffer.concat(using.bytes).equals(body)).toBe(true)
    const large = using.sizes.findIndex((length) => length >= 32 * 1024)
    expect(large).toBeGreaterThanOrEqual(0)
    expect(using.left[large]).toBe(0)
  })

  it('is given back where it comes in chunks, too', async () => {
    const body = randomBytes(size)
    const origin = own(
      await originServer((_req, res) => {
        // Each read of 64 KB has the end of a chunk in it and the begin of the next, wherever its bounds are.
        for (let at = 0; at < size; at += 48 * 1024) res.write(body.subarray(at, at + 48 * 1024))
        res.end()
      }),
    )
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const { body: reply } = await send(transport, targetOf({ url: origin.url }))
    const using = new Using(reply as Body)
    await within(using.over.promise, 'the reply')
    expect(Buffer.concat(using.bytes).equals(body)).toBe(true)
    // Pieces of what was read, too, and not only what went on with the buffer that it was read into.
    expect(using.sizes.some((length, i) => length < 32 * 1024 && using.left[i] === 0)).toBe(true)
    expect(using.sizes.filter((length, i) => length >= 16 * 1024 && using.left[i] !== 0)).toEqual([])
  })

  type Recorded = Record<'_send' | '_writeRaw' | 'write', (part: unknown, ...rest: unknown[]) => unknown>

  /** Keeps the parts that a method is given. */
  function record(of: object, name: keyof Recorded, kept: Buffer[]): void {
    const object = of as Recorded
    const method = object[name]
    object[name] = function (this: unknown, part, ...rest) {
      if (part instanceof Buffer) kept.push(part)
      return method.call(this, part, ...rest)
    }
  }

  it.each<[string, (res: ServerResponse, kept: Buffer[]) => void]>([
    ['`write`', (res, kept) => record(res, 'write', kept)],
    ['`_send`', (res, kept) => record(res, '_send', kept)],
    ['`_writeRaw`', (res, kept) => record(res, '_writeRaw', kept)],
    ['`write` of the socket', (res, kept) => record(res.socket as Socket, 'write', kept)],
  ])('is left alone where other code has replaced %s', async (_name, watch) => {
    const kept: Buffer[] = []
    const server = await proxied((_req, res) => watch(res, kept))
    const body = randomBytes(size)
    const answer = await server.client.call({ method: 'PUT', body }).answer()
    expect(answer.body.equals(body)).toBe(true)
    expect(Buffer.concat(kept).equals(body)).toBe(true)
  })
})

describe.each<FrontKind>(fronts)('large bodies through $name', (kind) => {
  it('come back as they went, two at once', async () => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start(origin.url))
    const bodies = Array.from({ length: 2 }, () => randomBytes(size))
    const answers = await Promise.all(
      bodies.map((body, i) => front.client.call({ method: 'PUT', body, chunked: i % 2 === 1 }).answer()),
    )
    expect(answers.map(({ body }, i) => body.equals(bodies[i] as Buffer))).toEqual([true, true])
  })
})
