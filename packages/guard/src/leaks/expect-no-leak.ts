import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import { type Duration, integer, parse, positiveDuration, that, v } from '@sluice/options'
import { converse, type Place } from './converse.js'
import { findSecrets, type Sighting } from './find-secret.js'
import { http2Answers } from './http2-answers.js'
import { type LeakRequest, malformedRequests, ordinaryRequests } from './leak-requests.js'
import { decodedBody, type RawAnswer, readAnswers } from './read-answers.js'
import { type Secret, secretsOf } from './secret-forms.js'

/** What handles requests in an app. */
export type Listener = (req: IncomingMessage, res: ServerResponse) => unknown

/** A proxy of `createProxy`, as far as it is needed here. */
export interface Mountable {
  readonly listener: (req: never, res: never) => unknown
  readonly upgrade?: (req: never, socket: never, head: never) => unknown
}

/** Options of {@link expectNoLeak}. */
export interface NoLeakOptions {
  /** What requests call the app. It is no name of a target, so that an app that repeats it gives nothing away. Default `'public.example'`. */
  host?: string
  /** Paths that are asked for, each in all ways. Default `['/']`. */
  paths?: readonly string[]
  /** Fields that go with ordinary requests, such as a credential, each as `Name: value`. Default none. */
  headers?: readonly string[]
  /** More requests, as the bytes that are sent: a whole head and body each, one character a byte. Default none. */
  requests?: readonly string[]
  /** Ask in wrong ways, too. Default `true`. */
  malformed?: boolean
  /** How long one answer may take. What has come by then is looked at. Default 2s. */
  timeout?: Duration
  /** Connections at a time. Default 8. */
  connections?: number
}

const text = that<string>((value) => typeof value === 'string' && value !== '', 'a text that is not empty')
const line = that<string>(
  (value) => typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+:[^\r\n\0]*$/.test(value),
  "a field such as 'Cookie: a=b'",
)

const noLeakOptions = v.strictObject({
  host: v.optional(
    that<string>(
      (value) => typeof value === 'string' && /^[\w.:[\]-]+$/.test(value),
      "a host such as 'shop.example'",
    ),
    'public.example',
  ),
  paths: v.optional(
    v.pipe(
      v.array(
        that<string>(
          (value) => typeof value === 'string' && /^\/[!-~]*$/.test(value),
          'a path that begins with /',
        ),
      ),
      v.minLength(1, 'one or more'),
    ),
    () => ['/'],
  ),
  headers: v.optional(v.array(line), () => []),
  requests: v.optional(v.array(text), () => []),
  malformed: v.optional(v.boolean(), true),
  timeout: v.optional(positiveDuration(), '2s'),
  connections: v.optional(integer(1, 1_000), 8),
})

/** A secret that an answer shows. */
export interface Leak extends Sighting {
  /** What was asked. */
  readonly request: string
  /** Where in the answer: its status line, a field by its name, its body, a trailer, or bytes that are no answer. */
  readonly where: string
}

/** What {@link expectNoLeak} throws where something shows. */
export class LeakError extends Error {
  override readonly name = 'LeakError'

  constructor(
    /** All of them, in the order of the requests. */
    readonly leaks: readonly Leak[],
    answers: number,
  ) {
    super(`${leaks.length} ${leaks.length === 1 ? 'leak' : 'leaks'} in ${answers} answers\n${told(leaks)}`)
  }
}

/**
 * For tests of one's own: asks an app in some hundred ways, right and wrong, and fails if one of the secrets shows in any answer: in status
 * lines, fields, bodies (decoded, without chunks), trailers, 1xx and what follows a 101; as it is, in another case, backwards, in base64,
 * hexadecimal, percent-encoded, with escapes of HTML or JSON, and addresses as numbers of any base, with swapped bytes, dashes or as IPv6.
 *
 * A URL stands for its name, its authority and its port (names of this machine only with their port). It tries what clients can do,
 * POST among it; errors of targets are for the test to bring about, with a target that is dead, late or wrong.
 *
 * @param app a server (it is left as it is if it listens, else it listens meanwhile), a request listener, a proxy, or a URL
 * @throws LeakError that lists each leak: which request, where, which secret and in which disguise
 * @throws Error if nothing was answered at all, which would prove nothing; TypeError for wrong arguments
 */
export async function expectNoLeak(
  app: Server | Listener | Mountable | string,
  secrets: readonly string[],
  options: NoLeakOptions = {},
): Promise<void> {
  const settings = parse(noLeakOptions, options, 'expectNoLeak')
  parse(v.pipe(v.array(text), v.minLength(1, 'one or more secrets')), secrets, 'secrets')
  const { connections, headers, host, malformed, paths, requests, timeout } = settings
  const publicName = host.replace(/:\d*$/, '').toLowerCase()
  const looked = secrets.flatMap((each) => secretsOf(each, publicName))
  const asked: LeakRequest[] = [
    ...paths.flatMap((path) => ordinaryRequests(host, path, headers)),
    ...(malformed ? malformedRequests(host) : []),
    ...requests.map((bytes) => ({ name: nameOf(bytes), method: bytes.split(' ', 1)[0] as string, bytes })),
  ]
  const { place, close } = await serve(app, publicName)
  const results: Leak[][] = []
  let answers = 0
  try {
    let at = 0
    const ask = async (): Promise<void> => {
      while (at < asked.length) {
        const index = at++
        const request = asked[index] as LeakRequest
        const bytes = await converse(place, request, timeout)
        const { list, rest } = readAnswers(bytes, request.method)
        answers += list.length
        results[index] = leaksIn(request.name, list, looked)
        if (rest.length > 0)
          results[index].push(...placed(request.name, 'bytes', findSecrets(rest.toString('latin1'), looked)))
      }
    }
    await Promise.all(Array.from({ length: connections }, ask))
    // Without TLS a server that speaks HTTP/2 speaks nothing else.
    const http2 = place.tls || answers === 0 ? await http2Answers(place, host, paths, timeout) : []
    for (const { name, answers: list } of http2) {
      answers += list.length
      results.push(leaksIn(name, list, looked))
    }
  } finally {
    await close()
  }
  if (answers === 0) throw new Error('expectNoLeak: there was no answer at all, which proves nothing')
  const leaks = results.flat()
  if (leaks.length > 0) throw new LeakError(leaks, answers)
}

/** Fields that are numbers: a port there is none. */
const numeric =
  /^(?:content-length|age|date|expires|last-modified|etag|content-range|retry-after|x-ratelimit.*|ratelimit.*)$/i

function leaksIn(request: string, answers: readonly RawAnswer[], secrets: readonly Secret[]): Leak[] {
  const leaks: Leak[] = []
  for (const { status, line: statusLine, fields, body, trailers } of answers) {
    const kind = status < 200 ? ` of the ${status}` : ''
    leaks.push(...placed(request, `status line${kind}`, findSecrets(statusLine, secrets)))
    for (const [what, list] of [
      ['field', fields],
      ['trailer', trailers],
    ] as const)
      for (const field of list) {
        const name = field.split(':', 1)[0] as string
        leaks.push(
          ...placed(request, `${what} ${name}${kind}`, findSecrets(field, secrets, numeric.test(name))),
        )
      }
    leaks.push(
      ...placed(
        request,
        'body',
        findSecrets((decodedBody(body, fields) ?? body).toString('latin1'), secrets),
      ),
    )
  }
  return leaks
}

function placed(request: string, where: string, found: readonly Sighting[]): Leak[] {
  return found.map((each) => ({ request, where, ...each }))
}

function nameOf(bytes: string): string {
  return (bytes.split('\r\n', 1)[0] as string).slice(0, 80)
}

const mostTold = 30

function told(leaks: readonly Leak[]): string {
  const lines = leaks
    .slice(0, mostTold)
    .map(
      ({ request, where, secret, disguise, shown }) =>
        `  ${request}: ${where} shows ${secret}, ${disguise}: ${JSON.stringify(shown)}`,
    )
  if (leaks.length > mostTold) lines.push(`  and ${leaks.length - mostTold} more`)
  return lines.join('\n')
}

interface Served {
  readonly place: Place
  close(): Promise<void>
}

async function serve(app: Server | Listener | Mountable | string, serverName: string): Promise<Served> {
  if (typeof app === 'string') {
    if (!/^https?:\/\//i.test(app) || !URL.canParse(app))
      throw new TypeError(`app: got ${JSON.stringify(app)}, takes a URL such as 'http://127.0.0.1:8080'`)
    const { hostname, port, protocol } = new URL(app)
    const tls = protocol === 'https:'
    const place = {
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (tls ? 443 : 80),
      tls,
      serverName,
    }
    return { place, close: async () => {} }
  }
  if (app instanceof Server) {
    const own = !app.listening
    if (own) await listening(app)
    return { place: placeOf(app, serverName), close: async () => (own ? closed(app) : undefined) }
  }
  const { listener, upgrade } = typeof app === 'function' ? { listener: app, upgrade: undefined } : app
  if (typeof listener !== 'function') throw new TypeError('app: takes a server, a listener, a proxy or a URL')
  const server = createServer(listener as Listener)
  if (upgrade !== undefined)
    server.on('upgrade', upgrade as (req: IncomingMessage, socket: Duplex, head: Buffer) => void)
  await listening(server)
  return { place: placeOf(server, serverName), close: () => closed(server) }
}

function placeOf(server: Server, serverName: string): Place {
  const address = server.address() as AddressInfo | string | null
  if (address === null || typeof address === 'string')
    throw new TypeError('app: takes a server that listens on a port')
  const host = address.address === '::' || address.address === '0.0.0.0' ? '127.0.0.1' : address.address
  return { host, port: address.port, tls: server instanceof TlsServer, serverName }
}

const connections = new WeakMap<Server, Set<Socket>>()

function listening(server: Server): Promise<void> {
  const open = new Set<Socket>()
  connections.set(server, open)
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const socket of connections.get(server) ?? []) socket.destroy()
  })
}
