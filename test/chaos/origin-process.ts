import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { within } from '../kit/until.js'

const program = fileURLToPath(new URL('origin-process.mjs', import.meta.url))

/** How an origin behaves. */
export type Mode = 'ok' | 'reset' | '503' | 'slow'

/** A server in a process of its own, which can be killed and comes back on its port. */
export class OriginProcess {
  port = 0
  /** Paths of POSTs that it has processed, over all its lives. */
  readonly done: string[] = []
  private child: ChildProcess | undefined

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async rise(): Promise<void> {
    const child = fork(program, [String(this.port)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child = child
    child.on('message', (message: { done?: string }) => {
      if (message.done !== undefined) this.done.push(message.done)
    })
    const [{ port }] = (await within(once(child, 'message'), 'an origin to listen')) as [{ port: number }]
    this.port = port
  }

  async become(mode: Mode): Promise<void> {
    const { child } = this
    const heard = new Promise<void>((resolve) => {
      const hear = (message: { mode?: string }): void => {
        if (message.mode !== mode) return
        child?.off('message', hear)
        resolve()
      }
      child?.on('message', hear)
    })
    child?.send({ mode })
    await within(heard, `an origin to become ${mode}`)
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child?.kill(signal)
  }

  async fall(): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  close(): Promise<void> {
    return this.fall()
  }
}
