import { once } from 'node:events'
import { connect, createServer, type Http2ServerRequest } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { frameClient, frameTypes, http2Frame } from '../../../test/kit/http2-frames.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { atRest, deferred, until, within } from '../../../test/kit/until.js'
import { attach, type Body, type Context, type Handler, type Outcome, type Reply } from './index.js'

trapUnhandled()
const own = owner()

async function serve(handler: Handler): Promise<number> {
  const server = own(createServer().listen(0, '127.0.0.1'))
  attach(server, handler)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const streamOf = (ctx: Context) => (ctx.req as Http2ServerRequest).stream

/** NO_ERROR is what Node's clients say who destroy a stream, CANCEL what others say. */
describe.each([0, 8])('a client that resets its stream with code %i', (code) => {
  /** A request whose body has begun, taken by somebody with so much room, and is reset then. */
  async function cut(room: number) {
    const asked = deferred<Context>()
    const end = deferred<Outcome>()
    const heard = { bytes: 0, end: '' }
    const port = await serve((ctx) => {
      ctx.onClose(end.resolve)
      ;(ctx.out.body as Body).pipe({
        write({ length }) {
          heard.bytes += length
          return heard.bytes < room
        },
        end() {
          heard.end = 'whole'
        },
        abort() {
          heard.end = 'cut'
        },
        onDrain() {},
      })
      asked.resolve(ctx)
      return new Promise<Reply>(() => {})
    })
    const client = own(await frameClient(port))
    client.request(1, true)
    const ctx = await asked.promise
    for (let i = 0; i < 6; i++) client.write(http2Frame(frameTypes.data, 0, 1, Buffer.alloc(10_000)))
    await until(
      () => heard.bytes + streamOf(ctx).readableLength + ctx.req.readableLength === 60_000,
      'the body',
    )
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(code)
    return {
      ctx,
      heard,
      end: within(end.promise, 'the end'),
      reset: () => client.write(http2Frame(frameTypes.reset, 0, 1, payload)),
    }
  }

  it('in the middle of its body has sent half of one, and left', async () => {
    const { heard, end, reset } = await cut(Number.POSITIVE_INFINITY)
    reset()
    expect(await end).toMatchObject({ kind: 'client-left' })
    expect(heard).toEqual({ bytes: 60_000, end: 'cut' })
  })

  it('has left also where nobody reads on', async () => {
    const { heard, end, reset } = await cut(1)
    reset()
    expect(await end).toMatchObject({ kind: 'client-left' })
    expect(heard.end).toBe('cut')
  })

  it('is told nothing any more', async () => {
    const { ctx, end, reset } = await cut(1)
    streamOf(ctx).once('aborted', () => ctx.inform(103, ['Link', '</a>']))
    reset()
    await end
  })
})

it.each([false, true])('a body of which the rest is dropped keeps no stream: whole %s', async (whole) => {
  const asked = deferred<Context>()
  const end = deferred<Outcome>()
  const port = await serve((ctx) => {
    ctx.onClose(end.resolve)
    asked.resolve(ctx)
    // More than the window of a stream.
    return { status: 200, headers: [], body: Buffer.alloc(100_000) }
  })
  const session = connect(`http://127.0.0.1:${port}`)
  own({ close: () => session.destroy() })
  const request = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  request.on('error', () => {})
  await within(once(request, 'response'), 'the head')
  const ctx = await asked.promise
  const stream = streamOf(ctx)
  // More than what is read and dropped, and no more than fits into the window behind it.
  request.write(Buffer.alloc(320_000))
  if (whole) request.end()
  await until(() => ctx.req.isPaused(), 'the end of reading')
  await atRest(() => stream.readableLength + ctx.req.readableLength)
  request.resume()
  expect(await within(end.promise, 'the end of the exchange')).toMatchObject({ kind: 'done', bytes: 100_000 })
  await until(() => stream.destroyed, 'the end of the stream')
})
