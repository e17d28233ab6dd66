import {
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  makeClientConstructor,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { balance } from '@sluice/balance'
import { cache } from '@sluice/cache'
import { chain, clientAddress, toListener } from '@sluice/core'
import { forward, http2Transport, type TimeoutOptions } from '@sluice/forward'
import { createUpstream } from '@sluice/upstream'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { testCertificate } from '../kit/certificate.js'
import { mountNamed, mounts } from '../kit/mounts.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const write = (text: string): Buffer => Buffer.from(text)
const read = (bytes: Buffer): string => bytes.toString()
const coding = {
  requestSerialize: write,
  requestDeserialize: read,
  responseSerialize: write,
  responseDeserialize: read,
}

/** A service of texts: each method once in each kind that gRPC has. */
const definition = {
  unary: { path: '/test.Text/Unary', requestStream: false, responseStream: false, ...coding },
  collect: { path: '/test.Text/Collect', requestStream: true, responseStream: false, ...coding },
  spread: { path: '/test.Text/Spread', requestStream: false, responseStream: true, ...coding },
  chat: { path: '/test.Text/Chat', requestStream: true, responseStream: true, ...coding },
} satisfies ServiceDefinition

type Done = (error: ServiceError | null, text?: string) => void

interface TextClient {
  unary(text: string, metadata: Metadata, options: object, done: Done): ClientUnaryCall
  collect(metadata: Metadata, done: Done): ClientWritableStream<string>
  spread(text: string): ClientReadableStream<string>
  chat(): ClientDuplexStream<string, string>
  close(): void
}

interface Handlers {
  unary?: handleUnaryCall<string, string>
  collect?: handleClientStreamingCall<string, string>
  spread?: handleServerStreamingCall<string, string>
  chat?: handleBidiStreamingCall<string, string>
}

/** Where the proxy stands, and whether a cache is in it: that has nothing to do there. */
interface Place {
  readonly mount: string
  readonly cached: boolean
}

/** A gRPC server, a proxy in front of it, and a client that speaks to the proxy. */
async function service(
  { cached, mount }: Place,
  handlers: Handlers,
  timeouts: TimeoutOptions = {},
): Promise<TextClient> {
  const upstream = createUpstream({ name: 'grpc', targets: [await serverOf(handlers)] })
  const transport = http2Transport()
  own({ close: () => transport.close(true) })
  const layers = chain().use(clientAddress())
  const picked = (cached ? layers.use(cache()) : layers).use(balance(upstream))
  return clientOf(mount, toListener(picked.handle(forward({ transport, timeouts }))))
}

/** Those that were started, the newest last. */
const servers: Server[] = []

async function serverOf(handlers: Handlers): Promise<string> {
  const server = new Server()
  servers.push(server)
  server.addService(definition, handlers as never)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  own({ close: () => server.forceShutdown() })
  return `http://127.0.0.1:${port}`
}

async function clientOf(mount: string, listener: ReturnType<typeof toListener>): Promise<TextClient> {
  const { tls, serve } = mountNamed(mount)
  const mounted = own(await serve({ listener }))
  const Client = makeClientConstructor(definition, 'test.Text')
  const secure = tls ? credentials.createSsl(testCertificate()?.cert ?? null) : credentials.createInsecure()
  const client = new Client(`localhost:${mounted.port}`, secure) as unknown as TextClient
  own({ close: () => client.close() })
  return client
}

interface Told {
  readonly text?: string
  readonly code?: status
  readonly details?: string
  readonly trailers: Metadata
  readonly metadata: Metadata
}

/** A unary call as a whole, with what came beside the message. */
function call(client: TextClient, text: string, metadata = new Metadata(), options = {}): Promise<Told> {
  return within(
    new Promise((resolve) => {
      let head = new Metadata()
      let result: Partial<Told> = {}
      const sent = client.unary(text, metadata, options, (error, answer) => {
        result = error === null ? { text: answer as string } : { code: error.code, details: error.details }
      })
      sent.on('metadata', (found) => {
        head = found
      })
      sent.on('status', ({ metadata: trailers }) => {
        setImmediate(() => resolve({ ...result, trailers, metadata: head }))
      })
    }),
    'the end of the call',
  )
}

/** All messages of a stream, and its status. */
async function all(stream: ClientReadableStream<string>): Promise<{ texts: string[]; code: status }> {
  const texts: string[] = []
  stream.on('data', (text: string) => texts.push(text))
  stream.on('error', () => {})
  const { code } = await within(
    new Promise<{ code: status }>((resolve) => stream.on('status', resolve)),
    'the end of the stream',
  )
  return { texts, code }
}

const places = mounts
  .filter(({ http2 }) => http2)
  .flatMap(({ name }) => [false, true].map((cached) => ({ mount: name, cached })))

describe.each(places)('gRPC through $mount, cached: $cached', (place) => {
  it('unary: the message, metadata both ways, and the status in the trailers', async () => {
    let seen = new Metadata()
    const client = await service(place, {
      unary({ request, metadata, sendMetadata, ...rest }, done) {
        seen = metadata
        const head = new Metadata()
        head.add('x-head', '1')
        head.add('x-head', '2')
        sendMetadata.call(rest, head)
        const trailers = new Metadata()
        trailers.set('x-tail', 'end')
        trailers.set('x-tail-bin', Buffer.from([0, 1, 255]))
        done(null, `hello ${request}`, trailers)
      },
    })
    const metadata = new Metadata()
    metadata.add('x-list', 'a')
    metadata.add('x-list', 'b')
    metadata.set('x-data-bin', Buffer.from([0, 255, 10]))
    const told = await call(client, 'world', metadata)
    expect(told.text).toBe('hello world')
    expect([seen.get('x-list').join(', '), seen.get('x-data-bin')]).toEqual([
      'a, b',
      [Buffer.from([0, 255, 10])],
    ])
    expect(told.metadata.get('x-head').join(', ')).toBe('1, 2')
    expect([told.trailers.get('x-tail'), told.trailers.get('x-tail-bin')]).toEqual([
      ['end'],
      [Buffer.from([0, 1, 255])],
    ])
  })

  it('unary: a large message', async () => {
    const client = await service(place, { unary: ({ request }, done) => done(null, request) })
    const text = 'x'.repeat(3 * 1024 * 1024)
    expect((await call(client, text)).text).toBe(text)
  })

  it('an error of the method, with its details, though there is nothing but trailers', async () => {
    const client = await service(place, {
      unary: (_call, done) => done({ code: status.NOT_FOUND, details: 'no such text: ä' }),
    })
    expect(await call(client, 'x')).toMatchObject({ code: status.NOT_FOUND, details: 'no such text: ä' })
  })

  it('a method that the server does not have', async () => {
    const client = await service(place, {})
    expect(await call(client, 'x')).toMatchObject({ code: status.UNIMPLEMENTED })
  })

  it('client streaming', async () => {
    const client = await service(place, {
      collect(stream, done) {
        const texts: string[] = []
        stream.on('data', (text: string) => texts.push(text))
        stream.on('end', () => done(null, texts.join(' ')))
      },
    })
    const answer = deferred<string>()
    const stream = client.collect(new Metadata(), (error, text) =>
      error === null ? answer.resolve(text as string) : answer.reject(error),
    )
    for (let i = 0; i < 100; i++) stream.write(String(i))
    stream.end()
    const expected = Array.from({ length: 100 }, (_, i) => String(i)).join(' ')
    expect(await within(answer.promise, 'the answer')).toBe(expected)
  })

  it('server streaming, with an error behind the messages', async () => {
    const client = await service(place, {
      spread(stream) {
        for (let i = 0; i < 100; i++) stream.write(`${stream.request} ${i}`)
        stream.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'enough' })
      },
    })
    const { texts, code } = await all(client.spread('n'))
    expect([texts.length, texts[99], code]).toEqual([100, 'n 99', status.RESOURCE_EXHAUSTED])
  })

  it('bidirectional streaming: each message as it comes', async () => {
    const client = await service(place, {
      chat(stream) {
        stream.on('data', (text: string) => stream.write(text.toUpperCase()))
        stream.on('end', () => stream.end())
      },
    })
    const stream = client.chat()
    const texts: string[] = []
    stream.on('data', (text: string) => texts.push(text))
    for (const text of ['a', 'b', 'c']) {
      const before = texts.length
      stream.write(text)
      await until(() => texts.length > before, 'the echo')
    }
    const ended = new Promise<{ code: status }>((resolve) => stream.on('status', resolve))
    stream.end()
    expect((await within(ended, 'the end')).code).toBe(status.OK)
    expect(texts).toEqual(['A', 'B', 'C'])
  })

  it('a stream that rests for longer than a body may', async () => {
    const go = deferred()
    const client = await service(
      place,
      {
        chat(stream) {
          stream.on('data', async (text: string) => {
            stream.write(text)
            await go.promise
            stream.write('later')
            stream.end()
          })
        },
      },
      { body: '50ms', requestBody: '50ms' },
    )
    const stream = client.chat()
    const rest = all(stream)
    stream.write('first')
    const first = new Promise((resolve) => stream.once('data', resolve))
    await within(first, 'the first message')
    // Longer than the limits: what is watched here is that nothing happens.
    await new Promise((resolve) => setTimeout(resolve, 250))
    go.resolve()
    expect(await rest).toEqual({ texts: ['first', 'later'], code: status.OK })
  })

  it('a client that cancels: the server hears', async () => {
    const started = deferred()
    const cancelled = deferred()
    const client = await service(place, {
      spread(stream) {
        stream.on('cancelled', () => cancelled.resolve())
        stream.write('one')
        started.resolve()
      },
      unary(sent) {
        sent.on('cancelled', () => cancelled.resolve())
        started.resolve()
      },
    })
    const stream = client.spread('x')
    const end = all(stream)
    await within(started.promise, 'the call')
    stream.cancel()
    expect((await end).code).toBe(status.CANCELLED)
    await within(cancelled.promise, 'the server to hear')
  })

  it('a client that cancels before there is an answer: the server hears', async () => {
    const started = deferred()
    const cancelled = deferred()
    const client = await service(place, {
      unary(sent) {
        sent.on('cancelled', () => cancelled.resolve())
        started.resolve()
      },
    })
    const done = deferred<ServiceError | null>()
    const sent = client.unary('x', new Metadata(), {}, (error) => done.resolve(error))
    await within(started.promise, 'the call')
    sent.cancel()
    expect((await done.promise)?.code).toBe(status.CANCELLED)
    await within(cancelled.promise, 'the server to hear')
  })

  it('a deadline: the client gives up in time, and the server knows of it', async () => {
    const cancelled = deferred()
    let known: unknown
    const client = await service(place, {
      unary(sent) {
        known = sent.getDeadline()
        sent.on('cancelled', () => cancelled.resolve())
      },
    })
    const told = await call(client, 'x', new Metadata(), { deadline: Date.now() + 300 })
    expect(told.code).toBe(status.DEADLINE_EXCEEDED)
    await within(cancelled.promise, 'the server to hear')
    expect(known).not.toBe(Number.POSITIVE_INFINITY)
  })

  it('many calls at once on one connection', async () => {
    const client = await service(place, { unary: ({ request }, done) => done(null, request) })
    const texts = Array.from({ length: 300 }, (_, i) => `text ${i}`)
    const told = await Promise.all(texts.map((text) => call(client, text)))
    expect(told.map(({ text }) => text)).toEqual(texts)
  })
})

describe.each(places.filter(({ cached }) => cached))('a cache before gRPC through $mount', (place) => {
  it('passes each call on, whatever its answer says of its lifetime, and says so', async () => {
    let count = 0
    const client = await service(place, {
      unary({ request, sendMetadata, ...rest }, done) {
        const head = new Metadata()
        head.set('cache-control', 'public, max-age=60')
        head.set('content-location', '/test.Text/Unary')
        sendMetadata.call(rest, head)
        done(null, `${request} ${++count}`)
      },
    })
    for (const n of [1, 2, 3]) {
      const { metadata, text } = await call(client, 'call')
      expect(text).toBe(`call ${n}`)
      expect(metadata.get('cache-status')).toEqual(['sluice; fwd=method; fwd-status=200'])
    }
  })

  it('says of a server that is gone what it says of any target', async () => {
    const client = await service(place, {
      unary(_call, done) {
        // The connection goes, and the call with it.
        servers.at(-1)?.forceShutdown()
        done(null, 'never')
      },
    })
    const { code, metadata } = await call(client, 'call')
    expect(code).toBe(status.UNAVAILABLE)
    expect(metadata.get('cache-status')).toEqual(['sluice; fwd=method; detail=error'])
  })

  it('stands in the way of no stream of createProxy either', async () => {
    const server = await serverOf({
      chat(stream) {
        stream.on('data', (text: string) => stream.write(text.toUpperCase()))
        stream.on('end', () => stream.emit('error', { code: status.ABORTED, details: 'after all' }))
      },
    })
    const upstreams = { grpc: { targets: [server], http2: 'prior-knowledge' as const } }
    const proxy = own(createProxy({ upstreams, cache: true }))
    const client = await clientOf(place.mount, proxy.listener)
    const stream = client.chat()
    const texts: string[] = []
    stream.on('data', (text: string) => texts.push(text))
    stream.on('error', () => {})
    for (const text of ['a', 'b', 'c']) {
      const before = texts.length
      stream.write(text)
      await until(() => texts.length > before, 'the echo')
    }
    const ended = new Promise<{ code: status; details: string }>((resolve) => stream.on('status', resolve))
    stream.end()
    expect(await within(ended, 'the end')).toMatchObject({ code: status.ABORTED, details: 'after all' })
    expect(texts).toEqual(['A', 'B', 'C'])
  })
})
