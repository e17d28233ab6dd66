import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, it } from 'vitest'
import { Exchange } from './exchange.js'
import {
  type Context,
  chain,
  discard,
  type Handler,
  type Outcome,
  ProxyError,
  PushBody,
  proxyErrors,
  type Reply,
} from './index.js'

class Source extends PushBody {
  done(): void {
    this.finish()
  }
  protected resume(): void {}
  protected stop(): void {}
}

function exchange(): Exchange {
  const out = { method: 'GET', path: '/', headers: ['a', '1'], body: null }
  return new Exchange({ socket: {} } as IncomingMessage, 'http', 'host', out)
}

const sink = { write: () => true, end() {}, abort() {}, onDrain() {} }

it('a fork has keys and out of its own', () => {
  const root = exchange() as Exchange & { key?: string; mine?: string }
  root.key = 'root'
  const fork = root.fork()
  fork.key = 'fork'
  fork.mine = 'fork'
  fork.out.path = '/other'
  fork.out.headers.push('b', '2')
  expect([root.key, root.mine, root.out.path, root.out.headers]).toEqual(['root', undefined, '/', ['a', '1']])
  const other = root.fork()
  expect([other.key, other.mine]).toEqual(['root', undefined])
})

it('an exchange that ends takes its attempts with it, but no detached one', () => {
  const root = exchange()
  const fork = root.fork()
  const inner = fork.fork()
  const detached = root.fork({ detach: true })
  const signals = [root, fork, inner, detached].map((each) => each.signal)
  const ends: (Outcome | undefined)[] = []
  for (const each of [root, fork, inner, detached]) each.onClose((end) => ends.push(end))
  root.end({ kind: 'client-left', error: new ProxyError('client_left'), bytes: 0 })
  expect(signals.map((signal) => signal.aborted)).toEqual([true, true, true, false])
  expect(ends.map((end) => end?.kind)).toEqual(['client-left', 'client-left', 'client-left'])
  expect(root.fork().signal.aborted).toBe(true)
  expect(root.fork({ detach: true }).signal.aborted).toBe(false)
})

it('makes no error for attempts that have ended by themselves', () => {
  const root = exchange()
  root.fork().close({ kind: 'done', bytes: 0 })
  const { client_left } = proxyErrors
  let made = 0
  const get = () => {
    made++
    return client_left
  }
  Object.defineProperty(proxyErrors, 'client_left', { get })
  try {
    root.end({ kind: 'done', bytes: 0 })
  } finally {
    Object.defineProperty(proxyErrors, 'client_left', { value: client_left })
  }
  expect(made).toBe(0)
})

it('tells its end once, and at once to whoever comes later', () => {
  const root = exchange()
  const ends: string[] = []
  root.onClose((end, name) => ends.push(`${name} ${end.kind}`), 'early')
  root.end({ kind: 'done', bytes: 3 })
  root.end({ kind: 'error', bytes: 0 })
  root.onClose((end, name) => ends.push(`${name} ${end.kind}`), 'late')
  expect(ends).toEqual(['early done', 'late done'])
  expect(root.signal.aborted).toBe(false)
})

it("a fork's end is its body's end, whoever handles it", async () => {
  const bodies: Source[] = []
  const handler: Handler = chain().handle((): Reply => {
    const body = new Source()
    bodies.push(body)
    return { status: 200, headers: [], body }
  })
  const root = exchange()
  const ends: string[] = []
  const one = root.fork()
  const two = root.fork()
  one.onClose((end) => ends.push(`one ${end.kind}`))
  two.onClose((end) => ends.push(`two ${end.kind}`))
  const first = await handler(one)
  const second = await handler(two)
  expect(ends).toEqual([])
  discard(first)
  expect(ends).toEqual(['one error'])
  ;(second.body as Source).pipe(sink)
  bodies[1]?.done()
  expect(ends).toEqual(['one error', 'two done'])
})

it('an attempt that failed on a detached fork leaves room for the next', async () => {
  const handler = chain().handle(() => {
    throw new ProxyError('connection_refused')
  })
  const fetch = exchange().fork({ detach: true })
  await expect(async () => handler(fetch)).rejects.toThrow('refused')
  expect(fetch.signal.aborted).toBe(true)
  expect(fetch.fork().signal.aborted).toBe(false)
})

it('links layers once, outermost first', async () => {
  const order: string[] = []
  const layer =
    (name: string) =>
    (next: Handler): Handler => {
      order.push(`link ${name}`)
      return async (ctx: Context) => {
        order.push(`in ${name}`)
        const reply = await next(ctx)
        order.push(`out ${name}`)
        return reply
      }
    }
  const base = chain().use(layer('a'))
  const handler = base.use(layer('b')).handle(() => ({ status: 200, headers: [], body: null }))
  await handler(exchange())
  await handler(exchange())
  const walk = ['in a', 'in b', 'out b', 'out a']
  expect(order).toEqual(['link b', 'link a', ...walk, ...walk])
})

it('a further attempt ends with what a layer before the handler gives', async () => {
  const ends: string[] = []
  const watch = (ctx: Context): void => ctx.onClose(({ kind }) => ends.push(kind))
  const handler = chain()
    .use((next) => async (ctx) => {
      await next(ctx.fork({ detach: true }))
      expect(ends).toEqual(['done'])
      await expect(next(ctx.fork())).rejects.toThrow('a layer')
      expect(ends).toEqual(['done', 'error'])
      return { status: 200, headers: [], body: null }
    })
    .use(() => (ctx) => {
      watch(ctx)
      if (ends.length === 0) return { status: 200, headers: [], body: 'from a layer' }
      throw new Error('a layer')
    })
    .handle(() => ({ status: 200, headers: [], body: null }))
  await handler(exchange())
  expect(ends).toHaveLength(2)
})

it('a listener that throws keeps no other from hearing of the end', () => {
  const root = exchange()
  const heard: string[] = []
  root.onClose(() => {
    throw new Error('a listener')
  })
  root.onClose(({ kind }) => heard.push(kind))
  root.end({ kind: 'done', bytes: 0 })
  expect(heard).toEqual(['done'])
})

it('a fork that is cancelled closes, and nothing else does', () => {
  const root = exchange()
  const [loser, winner, detached] = [root.fork(), root.fork(), root.fork({ detach: true })]
  const ends: Record<string, Outcome> = {}
  for (const [name, each] of Object.entries({ root, loser, winner, detached }))
    each.onClose((end) => (ends[name] = end))
  const { signal } = loser
  loser.cancel()
  expect(ends).toMatchObject({ loser: { kind: 'client-left', error: { code: 'client_left' } } })
  expect(signal.reason).toMatchObject({ code: 'client_left', source: 'client' })
  winner.cancel(new ProxyError('http_response_timeout'))
  winner.cancel(new ProxyError('total_timeout'))
  expect(ends['winner']).toMatchObject({ kind: 'error', error: { code: 'http_response_timeout' } })
  detached.cancel()
  expect(Object.keys(ends)).toEqual(['loser', 'winner', 'detached'])
  root.end({ kind: 'done', bytes: 1 })
  expect(ends).toMatchObject({ root: { kind: 'done' }, loser: { kind: 'client-left' } })
})

it('an exchange is not ended by cancel: its end is that of its answer', () => {
  const root = exchange()
  root.cancel(new ProxyError('total_timeout'))
  expect([root.outcome, root.signal.aborted]).toEqual([undefined, false])
})

it('of attempts beside each other one sends informational responses, until it has ended', () => {
  const written: string[] = []
  const res = {
    headersSent: false,
    req: { httpVersionMinor: 1 },
    socket: { write: (text: string) => written.push(text.split('\r\n')[1] as string) },
  } as unknown as ServerResponse
  const out = { method: 'GET', path: '/', headers: [], body: null }
  const root = new Exchange({ socket: {} } as IncomingMessage, 'http', 'host', out, res)
  // One that is tried again afterwards has not ended.
  root.inform(103, ['who', 'root'])
  const [one, two] = [root.fork(), root.fork()]
  two.inform(103, ['who', 'two'])
  one.inform(103, ['who', 'one'])
  two.inform(103, ['who', 'two again'])
  two.cancel()
  two.inform(103, ['who', 'nobody'])
  one.inform(103, ['who', 'one at last'])
  expect(written).toEqual(['who: root', 'who: two', 'who: two again', 'who: one at last'])
})
