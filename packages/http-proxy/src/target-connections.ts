import type { Socket } from 'node:net'
import type { Target } from '@sluice/upstream'
import { callOptions } from './call-options.js'
import { TargetAgent } from './target-agent.js'

/** The connections to one target. */
export class TargetConnections {
  readonly agent: TargetAgent
  readonly single: TargetAgent
  readonly options: Readonly<Record<string, unknown>>
  private readonly sockets = new Set<Socket>()
  private ending = false

  constructor(
    target: Target,
    connections: number,
    private readonly emptied: () => void,
  ) {
    const settings = {
      opened: (socket: Socket) => void this.sockets.add(socket),
      closed: (socket: Socket) => {
        this.sockets.delete(socket)
        this.endIfEmpty()
      },
    }
    this.agent = new TargetAgent(target, { ...settings, connections, kept: true })
    this.single = new TargetAgent(target, { ...settings, connections: 0, kept: false })
    this.options = callOptions(target)
  }

  end(force: boolean): void {
    this.ending = true
    this.agent.end()
    if (force) for (const socket of [...this.sockets]) socket.destroy()
    this.endIfEmpty()
  }

  /** Nobody waits, and there is no connection: it can go. */
  endIfEmpty(): void {
    if (this.sockets.size === 0 && (this.ending || Object.keys(this.agent.requests).length === 0))
      this.emptied()
  }
}
