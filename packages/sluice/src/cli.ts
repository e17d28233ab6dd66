import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type CliTls, checkCliTls, cliTls, type ServedTls } from './cli-tls.js'
import type { Proxy } from './proxy.js'

const usage = `Usage: sluice TARGET... [options]
       sluice probe URL [options]

Puts a reverse proxy in front of one or more servers. With probe it sends malformed requests to an
app of yours and prints what got through: see sluice probe --help.

  TARGET          a server's URL, such as http://127.0.0.1:3000

Options:
  --port PORT     where to listen (default 8080; 0 picks a free port)
  --host HOST     on which address (default 127.0.0.1: this machine alone)
  --https         over TLS, with a certificate for this machine that is made once
  --cert FILE     over TLS, with this certificate (PEM, with its chain) ...
  --key FILE      ... and its private key, not encrypted; both are read again when they change
  --help          this text
  --version       the version

Example:
  sluice http://127.0.0.1:3000 http://127.0.0.1:3001 --port 8080
`

/** What the command line says; `text` is to be printed and ends it. */
type Command =
  | { readonly targets: string[]; readonly port: number; readonly host: string; readonly secure: CliTls }
  | { readonly text: string }

/**
 * The command line. Resolves when it is over: 0 after help or a drained Ctrl-C, 1 on a fault, 2 on wrong arguments.
 */
export async function main(args: readonly string[]): Promise<number> {
  // What is wanted is loaded when it is: help, and an argument that is wrong, are answered before a proxy could be loaded.
  if (args[0] === 'probe') return await (await import('./cli-probe.js')).probeCommand(args.slice(1))
  let command: Command
  let served: ServedTls | undefined
  let proxy: Proxy
  try {
    command = read(args)
    if ('text' in command) {
      process.stdout.write(command.text)
      return 0
    }
    const { host, secure, targets } = command
    served = await cliTls(secure, host)
    const { createProxy } = await import('./create-proxy.js')
    proxy = createProxy({ upstreams: { default: targets }, ...(served && { tls: served.tls }) })
  } catch (error) {
    // What is wrong with the arguments is a TypeError, whoever looks at them.
    const wrong = error instanceof TypeError
    process.stderr.write(
      `sluice: ${wrong ? asTyped(message(error)) : message(error)}\n${wrong ? 'Try sluice --help.\n' : ''}`,
    )
    return wrong ? 2 : 1
  }
  const { targets, port, host } = command
  try {
    const address = await proxy.listen(port, host)
    const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
    const url = `${served === undefined ? 'http' : 'https'}://${name}:${address.port}`
    process.stdout.write(`sluice: ${url} -> ${targets.join(', ')}\n`)
    if (served?.caFile !== undefined)
      process.stdout.write(`sluice: to trust it: curl --cacert ${served.caFile} ${url}/\n`)
    await signalled()
    process.stdout.write('sluice: draining\n')
    await proxy.close()
    return 0
  } catch (error) {
    process.stderr.write(`sluice: ${message(error)}\n`)
    await proxy.close({ drain: 0 })
    return 1
  }
}

function read(args: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      port: { type: 'string', default: '8080' },
      host: { type: 'string', default: '127.0.0.1' },
      https: { type: 'boolean', default: false },
      cert: { type: 'string' },
      key: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'v' },
    },
  })
  if (values.help) return { text: usage }
  if (values.version) return { text: `${version()}\n` }
  if (positionals.length === 0)
    throw new TypeError('no target: say which server to put the proxy in front of')
  if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535) {
    throw new TypeError(`--port: got ${JSON.stringify(values.port)}, takes a whole number from 0 to 65535`)
  }
  const secure = { https: values.https, cert: values.cert, key: values.key }
  checkCliTls(secure)
  return { targets: positionals, port: Number(values.port), host: values.host, secure }
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}

/**
 * For how long a repeated signal is the same one, in ms: npm and its like pass a Ctrl-C on to what they run, which the
 * terminal has signalled by itself.
 */
const sameSignal = 500

/**
 * Resolves at the first SIGINT or SIGTERM; a later one doesn't wait for the drain. The listeners stay: without them a
 * repeated signal would end the process at once.
 */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined
    const hear = (): void => {
      if (first === undefined) {
        first = performance.now()
        resolve()
      } else if (performance.now() - first > sameSignal) {
        process.exit(1)
      }
    }
    process.on('SIGINT', hear)
    process.on('SIGTERM', hear)
  })
}

/** What options are wrong, by the names that they have here. */
function asTyped(faults: string): string {
  return faults
    .replaceAll(/^upstreams\.default\.targets\[\d+\]/gm, 'TARGET')
    .replaceAll(/^tls\.certificates\.certFile/gm, '--cert')
    .replaceAll(/^tls\.certificates\.keyFile/gm, '--key')
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
