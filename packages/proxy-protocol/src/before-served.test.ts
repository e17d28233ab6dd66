import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { rawClient } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until, within } from '../../../test/kit/until.js'
import { beforeServed, type Gate } from './index.js'

trapUnhandled()
const own = owner()

const connection = (): Socket => new PassThrough() as unknown as Socket

/** A server that notes what it hears of. */
function noting(): { server: Server; heard: string[] } {
  const heard: string[] = []
  const server = createServer(() => void heard.push('own'))
  return { server, heard }
}

describe('a gate', () => {
  it('stands before the listeners that are there, behind those that come later', () => {
    const { server, heard } = noting()
    server.once('connection', () => heard.push('once'))
    let serve: (() => void) | undefined
    beforeServed(server, (_socket, next) => {
      serve = next
    })
    server.on('connection', () => heard.push('later'))
    server.emit('connection', connection())
    expect(heard).toEqual(['later'])
    serve?.()
    expect(heard).toEqual(['later', 'own', 'once'])
    serve?.()
    expect(heard, 'served twice').toHaveLength(3)
    server.emit('connection', connection())
    serve?.()
    expect(heard.slice(3), 'once is once').toEqual(['later', 'own'])
  })

  it('is asked the sooner the later it was put, and serves what has not ended alone', () => {
    const { server, heard } = noting()
    const gate =
      (name: string): Gate =>
      (socket, serve) => {
        heard.push(name)
        if (name === 'second' && heard.length > 3) socket.destroy()
        serve()
      }
    beforeServed(server, gate('first'))
    beforeServed(server, gate('second'))
    server.emit('connection', connection())
    expect(heard.splice(0)).toEqual(['second', 'first', 'own'])
    heard.push('-', '-', '-')
    server.emit('connection', connection())
    expect(heard.slice(3)).toEqual(['second'])
  })

  it('calls listeners as the server would', () => {
    const { server } = noting()
    const seen: unknown[] = []
    server.on('connection', function (this: Server, socket) {
      seen.push(this, socket)
    })
    beforeServed(server, (_socket, serve) => serve())
    const socket = connection()
    server.emit('connection', socket)
    expect(seen[0]).toBe(server)
    expect(seen[1]).toBe(socket)
  })
})

describe('taking it away', () => {
  it('leaves the server as it was, with what was added since behind', () => {
    const { server } = noting()
    const method = Object.hasOwn(server, 'close')
    const before = server.rawListeners('connection')
    const undo = [1, 2].map(() => beforeServed(server, (_socket, serve) => serve()))
    const later = (): void => {}
    server.on('connection', later)
    expect(Object.hasOwn(server, 'close')).toBe(true)
    // In the order in which they were put, and once more: neither matters.
    for (const each of [...undo, ...undo]) each()
    expect(server.rawListeners('connection')).toEqual([...before, later])
    expect(Object.hasOwn(server, 'close')).toBe(method)
  })

  it('keeps a method of the server’s own, and one that was put over', () => {
    const { server } = noting()
    const first = server.close
    const mine: typeof first = (fn) => first.call(server, fn)
    server.close = mine
    const undo = beforeServed(server, (_socket, serve) => serve())
    expect(server.close).not.toBe(mine)
    undo()
    expect(server.close).toBe(mine)
    const again = beforeServed(server, (_socket, serve) => serve())
    const theirs: typeof first = (fn) => first.call(server, fn)
    server.close = theirs
    again()
    expect(server.close).toBe(theirs)
  })

  it('leaves ours where somebody else has taken it, and it passes on', () => {
    const { server, heard } = noting()
    const undo = beforeServed(server, (_socket, serve) => {
      heard.push('gate')
      serve()
    })
    const [ours] = server.rawListeners('connection') as ((socket: Socket) => void)[]
    server.removeAllListeners('connection')
    server.on('connection', (socket) => ours?.call(server, socket))
    undo()
    server.emit('connection', connection())
    expect(heard).toEqual(['own'])
  })

  it('lets those that wait go on as they began', () => {
    const { server, heard } = noting()
    let serve: (() => void) | undefined
    const undo = beforeServed(server, (_socket, next) => {
      serve = next
    })
    server.emit('connection', connection())
    undo()
    serve?.()
    expect(heard).toEqual(['own'])
  })
})

describe('connections that wait', () => {
  const kinds = {
    'a server of TCP': () => createServer((socket) => socket.on('error', () => {})),
    'a server of HTTP': () => createHttpServer((_req, res) => res.end('ok')),
  }

  it.each(Object.entries(kinds))('hold up no close of %s', async (_name, make) => {
    const server = make()
    const waiting: Socket[] = []
    beforeServed(server, (socket) => {
      socket.on('error', () => {})
      waiting.push(socket)
    })
    const { port } = own(await listen(server as ReturnType<typeof createHttpServer>))
    const clients = await Promise.all([1, 2, 3].map(() => rawClient(port)))
    await until(() => waiting.length === 3, 'the connections')
    await within(new Promise((resolve) => server.close(resolve)), 'the close')
    await Promise.all(clients.map((client) => client.closed))
  })

  it.each(['closeIdleConnections', 'closeAllConnections'] as const)('end by %s', async (name) => {
    const server = createHttpServer((_req, res) => res.end('ok'))
    let held = 0
    const undo = beforeServed(server, (socket, serve) => {
      socket.on('error', () => {})
      if (held++ > 0) serve()
    })
    const { port } = own(await listen(server))
    const [waits] = [await rawClient(port)]
    await until(() => held === 1, 'the connection')
    const served = await rawClient(port)
    served.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await served.responses()
    server[name]()
    await Promise.all([waits.closed, served.closed])
    undo()
    expect(Object.hasOwn(server, name)).toBe(false)
  })

  it('count among the server’s connections', async () => {
    const server = createServer((socket) => socket.end('served'))
    server.maxConnections = 2
    const serves: (() => void)[] = []
    beforeServed(server, (socket, serve) => {
      socket.on('error', () => {})
      serves.push(serve)
    })
    const { port } = own(await listen(server as ReturnType<typeof createHttpServer>))
    const first = await rawClient(port)
    const second = await rawClient(port)
    await until(() => serves.length === 2, 'two connections')
    const third = await rawClient(port)
    await third.closed
    expect(serves).toHaveLength(2)
    for (const serve of serves) serve()
    await Promise.all([first.closed, second.closed])
    expect([first.text, second.text]).toEqual(['served', 'served'])
    const fourth = await rawClient(port)
    await until(() => serves.length === 3, 'room for another one')
    fourth.close()
  })
})
