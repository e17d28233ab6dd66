import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { TlsOptions } from 'sluice'
import { until, within } from '../kit/until.js'

const program = fileURLToPath(new URL('tls-proxy-process.mjs', import.meta.url))

/** What the process holds, in bytes and numbers. */
export interface TlsProxyStats {
  readonly rss: number
  readonly heapUsed: number
  readonly descriptors: number
  /** Of the certificates that it serves with. */
  readonly names: readonly string[]
}

/** A proxy with TLS in a process of its own, before an origin that answers `ok` and echoes WebSockets. */
export interface TlsProxyProcess {
  readonly port: number
  /** Uncaught exceptions and unhandled rejections, and an end that nobody wanted. */
  readonly faults: readonly string[]
  stats(): Promise<TlsProxyStats>
  /** Closes the proxy, and resolves when the process has ended by itself. */
  end(): Promise<void>
  close(): void
}

export async function tlsProxyProcess(tls: TlsOptions): Promise<TlsProxyProcess> {
  const child: ChildProcess = fork(program, [JSON.stringify(tls)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--expose-gc'],
  })
  const faults: string[] = []
  let ending = false
  let answer: TlsProxyStats | undefined
  child.on('message', (message: { fault?: string; stats?: TlsProxyStats }) => {
    if (message.fault !== undefined) faults.push(message.fault)
    if (message.stats !== undefined) answer = message.stats
  })
  child.on('exit', (code, signal) => {
    if (!ending) faults.push(`the process has ended: ${code ?? signal}`)
  })
  const [{ port }] = (await within(once(child, 'message'), 'the proxy to listen')) as [{ port: number }]
  return {
    port,
    faults,
    async stats() {
      answer = undefined
      child.send('stats')
      return await until(() => answer, 'what the process holds')
    },
    async end() {
      ending = true
      const gone = once(child, 'exit')
      child.send('end')
      await within(gone, 'the process to end', 30_000)
    },
    close() {
      ending = true
      child.kill('SIGKILL')
    },
  }
}
