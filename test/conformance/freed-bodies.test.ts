import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Body, type Context, freeMemory, type RequestBody, type Sink, toListener } from '@sluice/core'
import { wireTransport } from '@sluice/forward'
import { retry } from '@sluice/resilience'
import { describe, expect, it } from 'vitest'
import { send, targetOf } from '../kit/attempt.js'
import {
  chainOf,
  deferred,
  echo,
  type FrontKind,
  fronts,
  listen,
  listening,
  originServer,
  owner,
  trapUnhandled,
  within,
} from '../kit/index.js'

trapUnhandled()
const own = owner()

/** Large enough for many parts, each of them worth freeing. */
const size = 3 * 1024 * 1024
/** What a part that was used up is left with. */
const left = (length: number): number => (freeMemory === undefined ? length : 0)

/** Takes a body; what it was given is kept, and said to be used up part by part. */
class Using implements Sink {
  readonly sizes: number[] = []
  readonly left: number[] = []
  readonly bytes: Buffer[] = []
  readonly over = deferred<void>()

  constructor(private readonly body: Body) {
    body.pipe(this)
  }

  write(chunk: Uint8Array): boolean {
    this.sizes.push(chunk.length)
    this.bytes.push(Buffer.from(chunk))
    this.body.spent?.(chunk)
    this.left.push(chunk.length)
    return true
  }

  end(): void {
    this.over.resolve()
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
  it('is given back as they are used up, where Node can', async () => {
    const used = deferred<Using>()
    const listener = toListener(async ({ out }) => {
      const using = new Using(out.body as RequestBody)
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
    expect(after).toEqual(sizes.map(left))
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
    const answer = await server.client.call({ method: 'PUT', body }).answer()
    expect(answer.body.equals(body)).toBe(true)
    expect(kept.length).toBeGreaterThan(1)
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
    const { bytes, left: after, sizes } = await used.promise
    expect(Buffer.concat(bytes).equals(body)).toBe(true)
    expect(after[0]).toBe(sizes[0])
    expect(after.slice(8)).toEqual(sizes.slice(8).map(left))
  })
})

describe('the memory of a reply’s parts', () => {
  it('is given back as they are used up, where Node can', async () => {
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
    expect(using.left[large]).toBe(left(using.sizes[large] as number))
  })

  it('is left alone where other code has replaced `write`', async () => {
    const kept: Buffer[] = []
    const server = await proxied((_req, res) => {
      const { write } = res
      res.write = ((part: Buffer, ...rest: [BufferEncoding]) => {
        kept.push(part)
        return write.call(res, part, ...rest)
      }) as typeof write
    })
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
