import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@redis/client'
import { within } from './until.js'

/** Whether there is a `redis-server` to start. */
export const hasRedis: boolean = spawnSync('redis-server', ['--version']).error === undefined

/** A Redis of a test's own, on a Unix socket. It keeps nothing on the disk. */
export interface RedisServer {
  /** Of its socket: the same after a restart. */
  readonly path: string
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>
  /** Starts it again, with nothing in it. */
  start(): Promise<void>
  close(): Promise<void>
}

/** Starts one. */
export async function redisServer(): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'))
  const path = join(folder, 'socket')
  const settings = {
    port: '0',
    unixsocket: path,
    save: '',
    appendonly: 'no',
    dir: folder,
  }
  let running: { child: ChildProcess; ended: Promise<unknown> } | undefined
  const endNow = (): void => void running?.child.kill('SIGKILL')
  // Also where a test ends its process without closing anything.
  process.on('exit', endNow)

  async function start(): Promise<void> {
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise((resolve) => child.on('close', resolve))
    running = { child, ended }
    let output = ''
    const ready = new Promise<void>((resolve, reject) => {
      child.on('error', reject)
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (/ready to accept connections/i.test(output)) resolve()
      })
      void ended.then(() => reject(new Error(`redis-server ended:\n${output}`)))
    })
    await within(ready, 'redis-server').catch((error: unknown) => {
      endNow()
      throw error
    })
  }

  async function kill(): Promise<void> {
    endNow()
    await running?.ended
    running = undefined
  }

  await start()
  return {
    path,
    kill,
    start,
    async close() {
      process.off('exit', endNow)
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A client of a test's own, connected; it tries again every few ms where it loses that. */
export async function redisClient(where: { path: string } | { port: number }): Promise<TestClient> {
  const client = clientOf(where)
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, {
    close: () => {
      if (client.isOpen) client.destroy()
    },
  })
}

type TestClient = Omit<ReturnType<typeof clientOf>, 'close'> & { close(): void }

function clientOf(where: { path: string } | { port: number }) {
  const again = { reconnectStrategy: 5 } as const
  return createClient({
    socket: 'path' in where ? { ...again, path: where.path, tls: false } : { ...again, port: where.port },
  })
}
