import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './until.js'

/** A program that relays connections and says in front of each, by the PROXY protocol, who has called. */
export interface HeaderRelay {
  readonly port: number
  close(): Promise<void>
}

/** What such a program is to do. */
export interface HeaderRelayOptions {
  /** Port that it relays to. */
  readonly to: number
  readonly version: 1 | 2
  /** HAProxy alone: whether it probes, all the time. */
  readonly probe?: boolean
}

/** The programs, each with whether it is here and what it can say. */
export const headerRelays = {
  haproxy: { here: runs('haproxy', '-v'), versions: [1, 2], relay: haproxy },
  nginx: { here: runs('nginx', '-v') && streamModule() !== undefined, versions: [1], relay: nginx },
} as const

/** Relays by HAProxy. */
function haproxy({ to, version, probe }: HeaderRelayOptions): Promise<HeaderRelay> {
  const configuration = (port: number): string => `
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:${port}
  default_backend back
backend back
  server back 127.0.0.1:${to} ${version === 1 ? 'send-proxy' : 'send-proxy-v2'} ${probe ? 'check inter 10ms' : ''}
`
  return launch('haproxy', configuration, (file) => ['-db', '-q', '-f', file])
}

/** Relays by nginx, which knows version 1 alone. */
function nginx({ to }: HeaderRelayOptions): Promise<HeaderRelay> {
  const configuration = (port: number): string => `
${streamModule()}
daemon off;
worker_processes 1;
error_log stderr error;
pid nginx.pid;
events { worker_connections 256; }
stream {
  server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${to};
    proxy_protocol on;
  }
}
`
  return launch('nginx', configuration, (file, folder) => ['-e', 'stderr', '-p', folder, '-c', file])
}

/** What loads nginx's module for connections; Debian has it in a package of its own. */
function streamModule(): string | undefined {
  if (/--with-stream(?!=dynamic)\b/.test(spawnSync('nginx', ['-V'], { encoding: 'utf8' }).stderr ?? ''))
    return ''
  const file = '/usr/lib/nginx/modules/ngx_stream_module.so'
  return existsSync(file) ? `load_module ${file};` : undefined
}

function runs(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).error === undefined
}

async function launch(
  program: string,
  configuration: (port: number) => string,
  args: (file: string, folder: string) => string[],
): Promise<HeaderRelay> {
  const folder = mkdtempSync(join(tmpdir(), `sluice-${program}-`))
  // As root nginx hands its work to another user, who must be able to read here.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const file = join(folder, 'configuration')
  writeFileSync(file, configuration(port))
  const child = spawn(program, args(file, folder), { stdio: ['ignore', 'ignore', 'pipe'] })
  const endNow = (): void => void child.kill('SIGKILL')
  // Also where a test ends its process without closing anything.
  process.on('exit', endNow)
  const gone = once(child, 'close')
  const close = async (): Promise<void> => {
    process.off('exit', endNow)
    // nginx ends its worker too.
    child.kill('SIGTERM')
    await gone
    rmSync(folder, { recursive: true, force: true })
  }
  await untilAccepting(child, program, port).catch(async (error: unknown) => {
    await close()
    throw error
  })
  return { port, close }
}

async function untilAccepting(child: ChildProcess, program: string, port: number): Promise<void> {
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until(
    () => {
      if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`)
      return accepts(port)
    },
    () => `${program} to accept connections; it said: ${said}`,
  )
}

function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  return new Promise<boolean>((resolve) => {
    socket.on('connect', () => resolve(true))
    socket.on('error', () => resolve(false))
  }).finally(() => socket.destroy())
}

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
