import { Readable } from 'node:stream'
import { get } from '@sluice/headers'
import { toBody } from './bodies.js'
import type { Body } from './body.js'
import type { Context } from './context.js'
import type { InboundRequest } from './mount.js'
import { RequestBody } from './request-body.js'
import type { StandIn } from './stand-in-response.js'

/**
 * The request that an app behind layers reads: `ctx.req` itself, or one like it whose bytes are those of the body that a layer has put in the
 * place of the client's. By the client's own the app would go past a limit, and a layer that reads ahead would leave it nothing.
 * @param response fails where the body will never be whole and nothing is answered yet
 */
export function standInRequest({ req, out }: Context, response: StandIn): InboundRequest {
  const { body, headers } = out
  if (body === null || body instanceof RequestBody) return req
  // What was kept of one that a parser has read: the app has what that has made of it.
  if (body instanceof Uint8Array && req.readableDidRead) return req
  const standIn = Object.create(Object.getPrototypeOf(req))
  const bytes = toBody(body) as Body
  const source = new Source(bytes, standIn, response)
  Readable.call(standIn, {
    read: () => source.read(),
    destroy: (error, done) => {
      source.leave(error)
      // As with Node's own requests, whose end nobody has to listen for.
      done(standIn.listenerCount('error') > 0 ? error : null)
    },
  })
  // All but what it has as a stream of its own.
  for (const key of Reflect.ownKeys(req))
    if (!Object.hasOwn(standIn, key))
      Object.defineProperty(standIn, key, Object.getOwnPropertyDescriptor(req, key) as PropertyDescriptor)
  const fields: Record<string, unknown> = { ...req.headers }
  const framing = ['content-length', 'transfer-encoding', 'content-encoding']
  for (const name of framing) delete fields[name]
  // By one of the two apps know that there is a body.
  if (bytes.length === undefined) fields['transfer-encoding'] = 'chunked'
  else fields['content-length'] = String(bytes.length)
  const coding = get(headers, 'content-encoding')
  if (coding !== undefined) fields['content-encoding'] = coding
  show(standIn, 'headers', fields)
  return standIn
}

/** What a body flows into, at the pace of whoever reads the request. */
class Source {
  private started = false
  private over = false
  private resume = (): void => {}

  constructor(
    private readonly body: Body,
    private readonly to: Readable,
    private readonly response: StandIn,
  ) {}

  read(): void {
    if (this.started) return this.resume()
    this.started = true
    const { to } = this
    this.body.pipe({
      write: (chunk) => to.push(chunk),
      end: (trailers = []) => {
        this.over = true
        show(to, 'complete', true)
        show(to, 'rawTrailers', trailers)
        to.push(null)
      },
      abort: (error) => {
        if (this.over) return
        this.over = true
        show(to, 'aborted', true)
        to.emit('aborted')
        if (!this.response.answered) this.response.fail(error)
        to.destroy(error)
      },
      onDrain: (resume) => {
        this.resume = resume
      },
    })
  }

  /** Nobody reads the rest. */
  leave(error: Error | null): void {
    if (this.over || !this.started) return
    this.over = true
    this.body.cancel(error ?? new Error('the app reads no more of this body'))
  }
}

/** Also where Node has it by a getter. */
function show(on: object, name: string, value: unknown): void {
  Object.defineProperty(on, name, { configurable: true, enumerable: true, writable: true, value })
}
