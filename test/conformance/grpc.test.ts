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
import { chain, clientAddress, toListener } from '@sluice/core'
import { forward, http2Transport, type TimeoutOptions } from '@sluice/forward'
import { createUpstream } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import {
  deferred,
  mountNamed,
  mounts,
  owner,
  testCertificate,
  trapUnhandled,
  until,
  within,
} from '../kit/index.js'

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

/** A gRPC server, a proxy in front of it, and a client that speaks to the proxy. */
async function service(
  mount: string,
  handlers: Handlers,
  timeouts: TimeoutOptions = {},
): Promise<TextClient> {
  const server = new Server()
  server.addService(definition, handlers as never)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  own({ close: () => server.forceShutdown() })
  const upstream = createUpstream({ name: 'grpc', targets: [`http://127.0.0.1:${port}`] })
  const transport = http2Transport()
  own({ close: () => transport.close(true) })
  const handler = chain().use(clientAddress()).use(balance(upstream)).handle(forward({ transport, timeouts }))
  const { tls, serve } = mountNamed(mount)
  const mounted = own(await serve({ listener: toListener(handler) }))
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

const grpcMounts = mounts.filter(({ http2 }) => http2).map(({ name }) => name)

describe.each(grpcMounts)('gRPC through %s', (mount) => {
  it('unary: the message, metadata both ways, and the status in the trailers', async () => {
    let seen = new Metadata()
    const client = await service(mount, {
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
    const client = await service(mount, { unary: ({ request }, done) => done(null, request) })
    const text = 'x'.repeat(3 * 1024 * 1024)
    expect((await call(client, text)).text).toBe(text)
  })

  it('an error of the method, with its details, though there is nothing but trailers', async () => {
    const client = await service(mount, {
      unary: (_call, done) => done({ code: status.NOT_FOUND, details: 'no such text: ä' }),
    })
    expect(await call(client, 'x')).toMatchObject({ code: status.NOT_FOUND, details: 'no such text: ä' })
  })

  it('a method that the server does not have', async () => {
    const client = await service(mount, {})
    expect(await call(client, 'x')).toMatchObject({ code: status.UNIMPLEMENTED })
  })

  it('client streaming', async () => {
    const client = await service(mount, {
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
    const client = await service(mount, {
      spread(stream) {
        for (let i = 0; i < 100; i++) stream.write(`${stream.request} ${i}`)
        stream.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'enough' })
      },
    })
    const { texts, code } = await all(client.spread('n'))
    expect([texts.length, texts[99], code]).toEqual([100, 'n 99', status.RESOURCE_EXHAUSTED])
  })

  it('bidirectional streaming: each message as it comes', async () => {
    const client = await service(mount, {
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
      mount,
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
    const client = await service(mount, {
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
    const client = await service(mount, {
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
    const client = await service(mount, {
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
    const client = await service(mount, { unary: ({ request }, done) => done(null, request) })
    const texts = Array.from({ length: 300 }, (_, i) => `text ${i}`)
    const told = await Promise.all(texts.map((text) => call(client, text)))
    expect(told.map(({ text }) => text)).toEqual(texts)
  })
})
