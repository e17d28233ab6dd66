import type { Server, Socket } from 'node:net'

/** What stands before a server's own work on a connection: it calls `serve` when the server may have it, or ends it. */
export type Gate = (socket: Socket, serve: () => void) => void

type Listener = (this: Server, socket: Socket) => void
type Method = (...args: unknown[]) => unknown

/** Each of them ends connections that nobody has a request on. `close` of `node:http` does so by the last one. */
const closing = ['close', 'closeAllConnections', 'closeIdleConnections'] as const

/** The way into one server: gates, behind them the listeners that it had, and the connections that haven't come through. */
class Entrance {
  readonly gates: Gate[] = []
  private readonly own: readonly Listener[]
  private readonly waiting = new Set<Socket>()
  private readonly forget: (this: Socket) => void
  private readonly replaced: readonly (() => void)[]

  constructor(private readonly server: Server) {
    const { waiting } = this
    this.forget = function () {
      waiting.delete(this)
    }
    this.own = server.rawListeners('connection') as Listener[]
    for (const listener of this.own) server.off('connection', listener)
    server.on('connection', this.enter)
    this.replaced = closing.flatMap((name) => this.endWaitingBefore(name) ?? [])
  }

  /** Gives the server its methods back, and its listeners ahead of those added since. */
  restore(): void {
    const { server } = this
    for (const undo of this.replaced) undo()
    const all = server.rawListeners('connection') as Listener[]
    const at = all.indexOf(this.enter)
    // Somebody else has taken ours, as we have taken these: they hear through it as before.
    if (at === -1) return
    const later = all.slice(at + 1)
    for (const listener of [this.enter, ...later]) server.off('connection', listener)
    for (const listener of [...this.own, ...later]) server.on('connection', listener)
  }

  private readonly enter = (socket: Socket): void => {
    const { gates, waiting } = this
    if (gates.length === 0) return this.serve(socket)
    waiting.add(socket)
    socket.once('close', this.forget)
    // Those count that stand when it comes.
    this.pass(socket, gates.slice())
  }

  private pass(socket: Socket, left: Gate[]): void {
    const gate = left.pop()
    if (gate === undefined) {
      this.waiting.delete(socket)
      socket.off('close', this.forget)
      this.serve(socket)
      return
    }
    let passed = false
    gate(socket, () => {
      if (passed || socket.destroyed) return
      passed = true
      this.pass(socket, left)
    })
  }

  private serve(socket: Socket): void {
    for (const listener of this.own) listener.call(this.server, socket)
  }

  /** Lets a method of the server end those that wait before it does its own work. @returns what undoes it */
  private endWaitingBefore(name: (typeof closing)[number]): (() => void) | undefined {
    const methods = this.server as unknown as Record<string, Method>
    const method = methods[name]
    if (method === undefined) return undefined
    const own = Object.hasOwn(methods, name)
    const { server, waiting } = this
    const ours: Method = (...args) => {
      for (const socket of waiting) socket.destroy()
      return method.apply(server, args)
    }
    methods[name] = ours
    return () => {
      // Where somebody has put another one over it, it stays and only passes on.
      if (methods[name] !== ours) return
      if (own) methods[name] = method
      else delete methods[name]
    }
  }
}

const entrances = new WeakMap<Server, Entrance>()

/**
 * Puts `gate` before what a server does with a connection: for what has to be read, or decided, ahead of TLS and HTTP. It
 * works on any server of `node:net`, `tls`, `http`, `https` and `http2`, by the listeners of its `connection` event: those that
 * it has by now, Node's own among them, hear of a connection when `gate` has called `serve`. Later ones stand outside and hear
 * of it at once. Of several gates the one put last is asked first.
 *
 * A gate that takes its time owes the connection a deadline, and a listener for its errors: nobody else has it yet. The
 * server's time limits begin with `serve`. Connections that wait count in `maxConnections`; `close`, `closeIdleConnections` and
 * `closeAllConnections` of the server end them, so that a close never waits for one that has nothing to say. What a gate throws
 * is thrown as by any listener.
 * @returns takes the gate away: connections that wait at it go on as they began
 */
export function beforeServed(server: Server, gate: Gate): () => void {
  let entrance = entrances.get(server)
  if (entrance === undefined) {
    entrance = new Entrance(server)
    entrances.set(server, entrance)
  }
  const standing = entrance
  const { gates } = standing
  // The same function may stand there twice.
  const ours: Gate = (socket, serve) => gate(socket, serve)
  gates.push(ours)
  return () => {
    const at = gates.indexOf(ours)
    if (at === -1) return
    gates.splice(at, 1)
    if (gates.length > 0) return
    entrances.delete(server)
    standing.restore()
  }
}
