import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { type Front, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { owner } from '../kit/owner.js'
import { type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { parseResponses, type RawClient, type RawResponse, rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const body = 'every byte counts'

/** Replies to a request, each framed in its own way; all with the same body. */
const replies: Record<string, string> = {
  'a length': `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nX-Mark: a\r\n\r\n${body}`,
  'chunks and trailers': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6;a=b\r\n${body.slice(0, 6)}\r\nb\r\n${body.slice(6)}\r\n0\r\nX-Sum: 1\r\n\r\n`,
  'the end of the connection': `HTTP/1.1 200 OK\r\nX-Mark: a\r\n\r\n${body}`,
  'a length, 1xx ahead': `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
}

/** Requests, all to the path that is cut. */
const requests: Record<string, string> = {
  GET: 'GET /cut HTTP/1.1\r\nHost: a\r\nX-Mark: a\r\n\r\n',
  'POST with a length': `POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  'POST in chunks': `POST /cut HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n${body.slice(0, 6)}\r\nb\r\n${body.slice(6)}\r\n0\r\nX-Sum: 1\r\n\r\n`,
}

const get = requests.GET as string
const get10 = 'GET /cut HTTP/1.0\r\nHost: a\r\n\r\n'

/** Waits until something is so, and looks whenever something has happened on a socket. */
function when(socket: Socket, condition: () => boolean, what: () => string): Promise<void> {
  const events = ['data', 'end', 'error', 'close']
  let look!: () => void
  const so = new Promise<void>((resolve) => {
    look = () => {
      if (condition()) resolve()
    }
    for (const event of events) socket.on(event, look)
    look()
  })
  return within(so, 'it')
    .catch(() => Promise.reject(new Error(`waited in vain for ${what()}`)))
    .finally(() => {
      for (const event of events) socket.off(event, look)
    })
}

/** What a target does. */
interface Script {
  /**
   * Serves a request for the path that is cut, the one with this number on its connection. Says where it ends if further ones
   * may follow.
   */
  cut: (connection: RawConnection, request: number) => unknown
  /** A connection is for one exchange. */
  fresh: boolean
}

/** A target that answers everything but `/cut` as it should. */
async function scripted(script: Script): Promise<Awaited<ReturnType<typeof rawOrigin>>> {
  return own(
    await rawOrigin(async (connection) => {
      let from = 0
      const { socket } = connection
      for (let request = 0; ; request++) {
        await when(
          socket,
          () => connection.text.length > from || socket.destroyed || socket.readableEnded,
          () => 'a request',
        )
        if (connection.text.length === from) return
        if (connection.text.startsWith('GET /next', from)) {
          await when(
            socket,
            () => connection.text.includes('\r\n\r\n', from),
            () => 'a head',
          )
          from = connection.text.indexOf('\r\n\r\n', from) + 4
          await connection.write(
            `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n${script.fresh ? 'Connection: close\r\n' : ''}\r\nnext`,
          )
          if (script.fresh) return connection.end()
        } else {
          const end = await script.cut(connection, request)
          if (typeof end !== 'number') return
          from = end
        }
      }
    }),
  )
}

/** Whole, an error page of the proxy's, cut off where the client can tell, or nothing. */
type Seen = 'whole' | 'error' | 'cut' | 'nothing'

const resets = new WeakSet<object>()

/** A client that can tell a reset which came with the last bytes from an end: some Nodes report it as one. */
async function clientOf(front: Front, options?: { allowHalfOpen?: boolean }): Promise<RawClient> {
  const client = await rawClient(front.port, options)
  const { socket } = client
  socket.on('end', () => {
    if (socket.remoteAddress === undefined) resets.add(socket)
  })
  return client
}

function endOf({ socket, ended }: RawClient): RawClient['ended'] {
  return ended === 'end' && resets.has(socket) ? 'reset' : ended
}

/**
 * What a client has got, judged. What would be wrong is thrown: a body that passes for whole and isn't, two answers, bytes
 * that are no answer, an error that tells of the target.
 */
function judge(client: RawClient, port: number, whole: (answer: RawResponse) => boolean): Seen {
  const { text, received } = client
  const ended = endOf(client)
  const finals = parseResponses(received).filter(({ status }) => status >= 200)
  const fault = (what: string): Error => new Error(`${what}: ${JSON.stringify(text)} and then ${ended}`)
  if (finals.length > 1) throw fault('two answers')
  const [answer] = finals
  if (answer === undefined) {
    if (ended === 'open') throw fault('no answer')
    return 'nothing'
  }
  const { status, complete, untilClose } = answer
  if (answer.status >= 400) {
    if (![502, 400, 408].includes(status) || !complete) throw fault('no proper error')
    if (text.includes(String(port)) || text.includes('127.0.0.1')) throw fault('the target is named')
    return 'error'
  }
  if (status !== 200) throw fault('another answer')
  if (complete && !(untilClose && ended === 'reset')) {
    if (untilClose && ended === 'open') throw fault('no end')
    if (!whole(answer)) throw fault('it passes for whole')
    return 'whole'
  }
  if (ended === 'open') throw fault('neither whole nor cut')
  return 'cut'
}

/** Waits until a client has a whole answer, or its connection has ended. */
async function settled(client: RawClient): Promise<void> {
  await when(
    client.socket,
    () =>
      client.ended !== 'open' ||
      client.socket.destroyed ||
      parseResponses(client.received).some(
        ({ status, complete, untilClose }) => status >= 200 && complete && !untilClose,
      ),
    () => `an answer or an end; received ${JSON.stringify(client.text)}`,
  )
  // What would come behind the answer is there by then.
  await new Promise((resolve) => setImmediate(resolve))
}

/** The next request, on the client's own connection if that is still there. */
async function next(front: Front, client?: RawClient): Promise<void> {
  const old = client !== undefined && client.ended === 'open' && !client.socket.destroyed
  const before = old ? client.text.length : 0
  const asking = old ? client : await clientOf(front)
  asking.write('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
  await when(
    asking.socket,
    () => asking.text.slice(before).endsWith('next') || asking.ended !== 'open' || asking.socket.destroyed,
    () => `the next answer; received ${JSON.stringify(asking.text)}, ${asking.ended}`,
  )
  if (!asking.text.slice(before).endsWith('next') && old) {
    // The connection was about to end: a new one has to do.
    asking.close()
    return next(front)
  }
  expect(asking.text.slice(before)).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nnext$/)
  asking.close()
  client?.close()
}

async function atPeace(front: Front): Promise<void> {
  await until(() => front.inFlight === 0, 'all leases to be released')
}

const ways = ['reset', 'end'] as const
const pools = ['kept', 'fresh'] as const

describe.each(twoFronts)('a target that breaks off at every byte, through $name', (kind) => {
  it.each(Object.keys(replies).flatMap((name) => pools.map((pool) => [name, pool] as const)))(
    'of a reply framed by %s, on a %s connection',
    async (name, pool) => {
      const reply = replies[name] as string
      const script: Script = { cut: () => {}, fresh: pool === 'fresh' }
      const origin = await scripted(script)
      const front = own(await kind.start({ targets: origin.url, via: false }))
      const leaks = leakCheck()
      const byClose = name === 'the end of the connection'
      for (const way of ways) {
        for (const request of byClose ? [get, get10] : [get]) {
          for (let cut = 0; cut <= reply.length; cut++) {
            script.cut = async (connection) => {
              await connection.head()
              await connection.write(reply.slice(0, cut))
              connection[way]()
            }
            await next(front)
            const client = await clientOf(front)
            client.write(request)
            await settled(client)
            const headAt = reply.lastIndexOf('\r\n\r\n', reply.indexOf(body.slice(0, 6))) + 4
            const seen = judge(client, origin.port, (answer) =>
              // Of a body that ends with its connection nobody can tell that an end in the ordinary way came too early.
              byClose && way === 'end' ? body.startsWith(String(answer.body)) : String(answer.body) === body,
            )
            const where = [way, cut, JSON.stringify(client.text)]
            if (cut < headAt) expect([seen, ...where]).toEqual(['error', ...where])
            else if (cut === reply.length && way === 'end')
              expect([seen, ...where]).toEqual(['whole', ...where])
            else if (byClose && way === 'end') expect([seen, ...where]).toEqual(['whole', ...where])
            else expect(['error', 'cut', 'whole']).toContain(seen)
            await next(front, client)
          }
        }
      }
      await atPeace(front)
      await front.client.close()
      await front.close()
      await until(() => origin.sockets === 0, 'the connections to the target to close')
      await origin.close()
      await leaks.settled()
    },
    120_000,
  )

  it.each(Object.keys(requests).flatMap((name) => pools.map((pool) => [name, pool] as const)))(
    'of a %s that it receives, on a %s connection',
    async (name, pool) => {
      const request = requests[name] as string
      const bodyAt = request.indexOf('\r\n\r\n') + 4
      const script: Script = { cut: () => {}, fresh: pool === 'fresh' }
      const origin = await scripted(script)
      const front = own(await kind.start({ targets: origin.url, via: false }))
      const leaks = leakCheck()
      for (const way of ways) {
        for (let cut = 0; cut <= request.length; cut++) {
          const sent = deferred()
          const broken = deferred()
          script.cut = async (connection, before) => {
            if (pool === 'fresh') expect(before).toBe(0)
            await sent.promise
            connection[way]()
            broken.resolve()
          }
          await next(front)
          const client = await clientOf(front)
          // The rest of the body comes when the target has gone.
          const said = Math.max(cut, bodyAt)
          client.write(request.slice(0, said))
          // Some bytes of a body are on their way by then, and some have come.
          if (cut > bodyAt) for (let i = 0; i < cut % 4; i++) await new Promise((go) => setImmediate(go))
          sent.resolve()
          if (said < request.length) {
            await within(broken.promise, 'the target to break off')
            client.write(request.slice(said))
          }
          await settled(client)
          expect([judge(client, origin.port, () => false), way, cut]).toEqual(['error', way, cut])
          await next(front, client)
        }
      }
      await atPeace(front)
      await front.close()
      await until(() => origin.sockets === 0, 'the connections to the target to close')
      await origin.close()
      await leaks.settled()
    },
    120_000,
  )

  it('and is there again for the second try: a GET on a kept connection that was dead is answered once', async () => {
    const reply = replies['a length'] as string
    for (const way of ways) {
      let cuts = 0
      const script: Script = {
        fresh: false,
        cut: async (connection, request) => {
          await connection.head()
          if (request > 0) {
            cuts++
            return connection[way]()
          }
          await connection.write(reply)
        },
      }
      const origin = await scripted(script)
      const front = own(await kind.start({ targets: origin.url, retry: false }))
      for (let round = 0; round < 50; round++) {
        await next(front)
        const client = await clientOf(front)
        client.write(get)
        await settled(client)
        expect(judge(client, origin.port, (answer) => String(answer.body) === body)).toBe('whole')
        client.close()
        // The connection of the second try has served `/cut`: the target forgets it.
        for (const { socket } of origin.connections) socket.destroy()
        await until(() => origin.sockets === 0, 'the connections to close')
      }
      expect(cuts).toBe(50)
      await atPeace(front)
    }
  }, 120_000)
})

describe.each(twoFronts)('a client that breaks off at every byte, through $name', (kind) => {
  /** Reads the whole request, answers, and keeps the connection. */
  const answered = async (connection: RawConnection): Promise<number> => {
    const from = connection.text.lastIndexOf('/cut')
    const whole = /\r\n\r\n(?:every byte counts|(?:[\da-f]+\r\n[ \w]+\r\n)+0\r\n(?:X-Sum: 1\r\n)?\r\n)$/
    const isWhole = (): boolean => {
      const text = connection.text.slice(from)
      if (connection.socket.destroyed) return true
      return connection.text.slice(from - 4).startsWith('GET') ? text.endsWith('\r\n\r\n') : whole.test(text)
    }
    await when(connection.socket, isWhole, () => 'a whole request')
    const end = connection.text.length
    await connection.write(replies['a length'] as string)
    return end
  }

  it.each(Object.keys(requests))(
    'of a %s that it sends',
    async (name) => {
      const request = requests[name] as string
      const script: Script = { cut: answered, fresh: false }
      const origin = await scripted(script)
      const front = own(await kind.start({ targets: origin.url, via: false }))
      const leaks = leakCheck()
      const seen: Record<Seen, number> = { whole: 0, error: 0, cut: 0, nothing: 0 }
      for (const way of ways) {
        for (const kept of [false, true]) {
          for (let cut = 0; cut <= request.length; cut++) {
            for (const turns of [0, 3]) {
              const client = await clientOf(front, { allowHalfOpen: true })
              if (kept) {
                client.write('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
                await client.until('next')
              }
              client.write(request.slice(0, cut))
              for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
              if (way === 'reset') client.reset()
              else {
                client.socket.end()
                client.socket.on('end', () => client.socket.end())
                await within(client.closed, 'the proxy to close too')
                const from = kept ? client.text.indexOf('next') + 4 : 0
                const rest: RawClient = {
                  ...client,
                  received: client.received.subarray(from),
                  text: client.text.slice(from),
                  ended: client.ended,
                }
                const got = judge(rest, origin.port, (answer) => String(answer.body) === body)
                seen[got]++
                // Some servers take the end of a client's half for its leaving: it need not get its answer.
                if (cut < request.length)
                  expect([got, cut, client.text]).not.toEqual(['whole', cut, client.text])
              }
            }
          }
          await next(front)
        }
      }
      await atPeace(front)
      await front.close()
      await until(() => origin.sockets === 0, 'the connections to the target to close')
      await origin.close()
      await leaks.settled()
    },
    120_000,
  )

  it.each(Object.keys(replies))(
    'of a reply framed by %s that it receives',
    async (name) => {
      const reply = replies[name] as string
      const byClose = name === 'the end of the connection'
      const headAt = reply.lastIndexOf('\r\n\r\n', reply.indexOf(body.slice(0, 6))) + 4
      const script: Script = { cut: () => {}, fresh: false }
      const origin = await scripted(script)
      const front = own(await kind.start({ targets: origin.url, via: false }))
      const leaks = leakCheck()
      for (const way of ways) {
        for (let cut = headAt; cut <= reply.length; cut++) {
          let gone!: () => void
          const left = new Promise<void>((resolve) => {
            gone = resolve
          })
          script.cut = async (connection) => {
            await connection.head()
            const end = connection.text.length
            await connection.write(reply.slice(0, cut))
            await left
            // There is more to say, and nobody hears it.
            await connection.write(reply.slice(cut))
            if (byClose) connection.end()
            return end
          }
          const client = await clientOf(front, { allowHalfOpen: true })
          client.write(get)
          const said = reply.slice(headAt, cut).replace(/^6;a=b\r\n|\r\n(b\r\n|$)/g, '')
          await client.until(said === '' ? '200 OK' : said.slice(0, 1))
          if (way === 'reset') client.reset()
          else client.socket.end()
          gone()
          if (way === 'end') {
            // Some servers take the end of a client's half for its leaving; whoever reads on must be able to tell.
            await settled(client)
            expect(['whole', 'cut']).toContain(
              judge(client, origin.port, (answer) => String(answer.body) === body),
            )
            client.close()
          }
          await within(client.closed, 'the client to close')
          await atPeace(front)
          await next(front)
        }
      }
      await front.close()
      await until(() => origin.sockets === 0, 'the connections to the target to close')
      await origin.close()
      await leaks.settled()
    },
    120_000,
  )
})
