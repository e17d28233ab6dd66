import { connect } from 'node:http2'
import { open, type Place } from './converse.js'
import type { RawAnswer } from './read-answers.js'

/** What came for one request. */
export interface NamedAnswer {
  readonly name: string
  readonly answers: readonly RawAnswer[]
}

/** The same as over HTTP/1.1, where that differs at all. Never rejects: where nobody speaks HTTP/2 nothing has come. */
export async function http2Answers(
  place: Place,
  host: string,
  paths: readonly string[],
  ms: number,
): Promise<NamedAnswer[]> {
  const socket = open(place, ['h2'])
  const session = connect(`${place.tls ? 'https' : 'http'}://${host}`, { createConnection: () => socket })
  session.on('error', () => {})
  const requests = paths.flatMap((path) =>
    (
      [
        ['GET', path, {}],
        ['HEAD', path, {}],
        ['OPTIONS', path, {}],
        ['TRACE', path, {}],
        ['GET', path, { te: 'trailers', 'accept-encoding': 'gzip, br' }],
        ['GET', path, { range: 'bytes=0-0' }],
        ['GET', path, { 'if-none-match': '*' }],
        ['GET', `${path}${path.endsWith('/') ? '' : '/'}no-such-page`, {}],
        ['POST', path, { 'content-length': '0' }],
      ] as const
    ).map(([method, target, fields]) => ({ method, target, fields })),
  )
  try {
    return await Promise.all(
      requests.map(async ({ method, target, fields }) => ({
        name: `${method} ${target} of HTTP/2${Object.keys(fields).length > 0 ? ` with ${Object.keys(fields).join(', ')}` : ''}`,
        answers: await one(
          session.request({
            ':method': method,
            ':path': target,
            ':scheme': place.tls ? 'https' : 'http',
            ':authority': host,
            ...fields,
          }),
          ms,
        ),
      })),
    )
  } catch {
    return []
  } finally {
    session.destroy()
    socket.destroy()
  }
}

type Stream = ReturnType<ReturnType<typeof connect>['request']>

function one(stream: Stream, ms: number): Promise<RawAnswer[]> {
  return new Promise((resolve) => {
    const list: RawAnswer[] = []
    const parts: Buffer[] = []
    let trailers: string[] = []
    let last: { status: number; fields: string[] } | undefined
    const timer = setTimeout(() => stream.destroy(), ms)
    const add = ({ status, fields }: { status: number; fields: string[] }, body: Buffer): void => {
      list.push({ status, line: `HTTP/2 ${status}`, fields, body, trailers, whole: true })
    }
    stream.on('headers', (head) => add(read(head), Buffer.alloc(0)))
    stream.on('response', (head) => {
      last = read(head)
    })
    stream.on('trailers', (fields) => {
      trailers = read(fields).fields
    })
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('error', () => {})
    stream.on('close', () => {
      clearTimeout(timer)
      if (last !== undefined) add(last, Buffer.concat(parts))
      resolve(list)
    })
    stream.end()
  })
}

function read(head: Record<string, unknown>): { status: number; fields: string[] } {
  const fields = Object.entries(head).flatMap(([name, value]) =>
    name.startsWith(':') ? [] : [value].flat().map((each) => `${name}: ${String(each)}`),
  )
  return { status: Number(head[':status'] ?? 0), fields }
}
