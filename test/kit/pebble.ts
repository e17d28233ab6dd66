import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { testAuthority } from './authority.js'
import { until, within } from './until.js'

/** Whether there are a `pebble` and a `pebble-challtestsrv` to start. */
export const hasPebble: boolean = ['pebble', 'pebble-challtestsrv'].every((name) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name))),
)

export interface PebbleOptions {
  /** Share of good nonces that are refused, in percent. Default none. */
  readonly nonceReject?: number
  /** Every challenge is taken as answered. Default `false`. */
  readonly alwaysValid?: boolean
  /** Waits up to so many seconds before a challenge is looked at. Default not at all. */
  readonly sleep?: number
  /** Share of new orders that get an authorization from before, in percent. Default none. */
  readonly authzReuse?: number
  /** Intermediates between a certificate and the root. Default 1. */
  readonly chainLength?: number
  /** Further roots, each with a chain to it. Default none. */
  readonly alternateRoots?: number
  /** `-strict`: what a later version will demand. Default `false`. */
  readonly strict?: boolean
  /** Accounts need a binding to one of these: key id, and HMAC key in base64url. Default no binding. */
  readonly eab?: Readonly<Record<string, string>>
  /** How long certificates hold, in seconds. Default five years. */
  readonly validity?: number
  /** Names that are refused with `rejectedIdentifier`. Default none. */
  readonly blocked?: readonly string[]
  /** URL of an OCSP responder, for every certificate. Default none. */
  readonly ocsp?: string
}

/** An ACME server of a test's own with its name server, on 127.0.0.1. It keeps nothing. */
export interface Pebble {
  /** URL of the directory. */
  readonly directory: string
  /** The authority of its own TLS. Not the one of its certificates. */
  readonly ca: Buffer
  /** Where it looks for HTTP-01: to be listened on by the test. Free when it was chosen, and outside of what the system gives out. */
  readonly httpPort: number
  /** Where it looks for TLS-ALPN-01, as `httpPort`. */
  readonly tlsPort: number
  /** The name server, for `Resolver.setServers`. Any name is at 127.0.0.1, unless told otherwise. */
  readonly dns: string
  /** What Pebble has printed. */
  readonly output: string
  /** PEM of a root of its certificates; further ones with `alternateRoots`. They are others after a restart. */
  root(number?: number): Promise<string>
  intermediate(number?: number): Promise<string>
  /** What became of the certificate with that serial number, in hexadecimal. */
  status(serialNumber: string): Promise<{ Status: 'Valid' | 'Revoked'; Reason?: number }>
  /** Adds a TXT record to those of `name`. */
  setTxt(name: string, value: string): Promise<void>
  /** Takes away all TXT records of `name`. */
  clearTxt(name: string): Promise<void>
  addA(name: string, ...addresses: readonly string[]): Promise<void>
  /** Any question about `name` is answered SERVFAIL, or no more. */
  setServfail(name: string, on?: boolean): Promise<void>
  /** Any call of challtestsrv's management. */
  manage(path: string, body: object): Promise<string>
  /** Ends Pebble at once, as a crash does. */
  kill(): Promise<void>
  /** Starts it again, at the same places and with nothing in it: no account, no order, other roots. */
  start(): Promise<void>
  close(): Promise<void>
}

/** A machine with much else to do makes its RSA keys for long. For `beforeAll` of tests that start one, too. */
export const startPatience = 60_000

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
}

/** Starts one. */
export async function pebble(options: PebbleOptions = {}): Promise<Pebble> {
  const authority = testAuthority()
  if (authority === undefined) throw new Error('openssl is not installed')
  const folder = mkdtempSync(join(tmpdir(), 'pebble-'))
  const [port = 0, management = 0, httpPort = 0, tlsPort = 0, dns = 0, dnsManagement = 0] = await freePorts(6)
  const { cert, key } = authority.issue('DNS:localhost', 'IP:127.0.0.1')
  const at = (name: string): string => join(folder, name)
  writeFileSync(at('cert.pem'), cert)
  writeFileSync(at('key.pem'), key)
  const config = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: at('cert.pem'),
    privateKey: at('key.pem'),
    httpPort,
    tlsPort,
    ocspResponderURL: options.ocsp ?? '',
    ...(options.validity === undefined ? {} : { certificateValidityPeriod: options.validity }),
    domainBlocklist: options.blocked ?? [],
    externalAccountBindingRequired: options.eab !== undefined,
    ...(options.eab === undefined ? {} : { externalAccountMACKeys: options.eab }),
  }
  writeFileSync(at('config.json'), JSON.stringify({ pebble: config }))
  const env = environment(options)
  const strict = `-strict=${options.strict ?? false}`
  const args = ['-config', at('config.json'), '-dnsserver', `127.0.0.1:${dns}`, strict]
  const running = new Map<string, Running>()
  let output = ''
  const endNow = (): void => {
    for (const { child } of running.values()) child.kill('SIGKILL')
  }
  process.on('exit', endNow)

  async function run(
    name: string,
    given: readonly string[],
    says: RegExp,
    ready: () => Promise<unknown>,
  ): Promise<void> {
    const child = spawn(name, given, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    const ended = new Promise((resolve) => child.on('close', resolve))
    running.set(name, { child, ended })
    let printed = ''
    const begun = new Promise<void>((resolve, reject) => {
      child.on('error', reject)
      void ended.then(() => reject(new Error(`${name} ended:\n${printed}`)))
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          printed += text
          if (name === 'pebble') output += text
          if (says.test(printed)) resolve()
        })
    })
    await within(begun, name, startPatience)
    // It says so a moment before it listens.
    await until(async () => (await ready().catch(() => undefined)) !== undefined, name)
  }

  async function kill(name = 'pebble'): Promise<void> {
    running.get(name)?.child.kill('SIGKILL')
    await running.get(name)?.ended
    running.delete(name)
  }

  const get = (path: string): Promise<string> => ask(`https://127.0.0.1:${management}${path}`, authority.cert)
  const manage = (path: string, body: object): Promise<string> =>
    ask(`http://127.0.0.1:${dnsManagement}${path}`, undefined, body)
  const start = (): Promise<void> => run('pebble', args, /ACME directory available/, () => get('/roots/0'))
  async function close(): Promise<void> {
    process.off('exit', endNow)
    for (const name of [...running.keys()]) await kill(name)
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    await run(
      'pebble-challtestsrv',
      [
        ...['-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${dnsManagement}`],
        // The challenges are answered by what is tested.
        ...['-http01', '', '-https01', '', '-tlsalpn01', ''],
        ...['-defaultIPv4', '127.0.0.1', '-defaultIPv6', ''],
      ],
      /management/i,
      () => manage('/clear-txt', { host: 'ready.test.' }),
    )
    await start()
  } catch (error) {
    await close()
    throw error
  }
  const rooted = (name: string): string => (name.endsWith('.') ? name : `${name}.`)
  return {
    directory: `https://localhost:${port}/dir`,
    ca: authority.cert,
    httpPort,
    tlsPort,
    dns: `127.0.0.1:${dns}`,
    get output() {
      return output
    },
    root: (number = 0) => get(`/roots/${number}`),
    intermediate: (number = 0) => get(`/intermediates/${number}`),
    status: async (serialNumber) => JSON.parse(await get(`/cert-status-by-serial/${serialNumber}`)),
    setTxt: async (name, value) => void (await manage('/set-txt', { host: rooted(name), value })),
    clearTxt: async (name) => void (await manage('/clear-txt', { host: rooted(name) })),
    addA: async (name, ...addresses) => void (await manage('/add-a', { host: rooted(name), addresses })),
    setServfail: async (name, on = true) =>
      void (await manage(on ? '/set-servfail' : '/clear-servfail', { host: rooted(name) })),
    manage,
    kill: () => kill(),
    start,
    close,
  }
}

function environment(options: PebbleOptions): NodeJS.ProcessEnv {
  const { nonceReject = 0, alwaysValid = false, sleep, authzReuse = 0, chainLength = 1 } = options
  return {
    PEBBLE_WFE_NONCEREJECT: String(nonceReject),
    PEBBLE_AUTHZREUSE: String(authzReuse),
    PEBBLE_CHAIN_LENGTH: String(chainLength),
    PEBBLE_ALTERNATE_ROOTS: String(options.alternateRoots ?? 0),
    ...(alwaysValid ? { PEBBLE_VA_ALWAYS_VALID: '1' } : {}),
    ...(sleep === undefined ? { PEBBLE_VA_NOSLEEP: '1' } : { PEBBLE_VA_SLEEPTIME: String(sleep) }),
  }
}

/**
 * Ports that nothing listens on. They lie below those that the system gives to whoever asks for any, so that nobody
 * else gets one of them before it is listened on.
 */
async function freePorts(count: number): Promise<number[]> {
  const held: { readonly port: number; readonly close: () => Promise<unknown> }[] = []
  while (held.length < count) {
    const port = 10_000 + Math.floor(Math.random() * 22_000)
    const server = createServer()
    const listens = once(server, 'listening').then(
      () => true,
      () => false,
    )
    server.listen(port, '127.0.0.1')
    if (await listens) held.push({ port, close: () => once(server.close(), 'close') })
  }
  await Promise.all(held.map(({ close }) => close()))
  return held.map(({ port }) => port)
}

/** The text of an answer with status 200. */
function ask(url: string, ca?: Buffer, body?: object): Promise<string> {
  const answer = new Promise<string>((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest
    const method = body === undefined ? 'GET' : 'POST'
    const request = send(url, { method, agent: false, ...(ca === undefined ? {} : { ca }) }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () =>
        response.statusCode === 200
          ? resolve(text)
          : reject(new Error(`${url} answered ${response.statusCode}: ${text}`)),
      )
    })
    request.on('error', reject)
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
  return within(answer, url)
}
