import { Chance } from './chance.mjs'
import { replies } from './corpus.mjs'
import { cutsOf, FuzzClient, inTime, ordinary } from './fuzz-client.mjs'
import { hostileOrigin } from './hostile-origin.mjs'
import { blank, fill, markOf, marksIn } from './mark.mjs'
import { Mutator, most, start } from './mutator.mjs'
import { numberedProxy } from './numbered-proxy.mjs'
import { readResponses } from './strict-responses.mjs'

const latin1 = (text) => Buffer.from(text, 'latin1')

/** What the parser's fuzzing begins with, and replies that name whose they are. */
const corpus = {
  ...replies,
  whole: [
    ...replies.whole,
    ...[
      `HTTP/1.1 200 OK\r\nX-Mark: ${blank}\r\nContent-Length: 12\r\n\r\n${blank}`,
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n${blank}\r\n0\r\nX-Mark: ${blank}\r\n\r\n`,
      `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n${blank}`,
      `HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/${blank}\r\nSet-Cookie: a=${blank}; Path=/\r\nContent-Length: 0\r\n\r\n`,
      `HTTP/1.1 103 Early\r\nLink: </${blank}>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: Accept\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n${blank}`,
      'HTTP/1.1 103 Early\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: "${blank}"\r\nContent-Length: 12\r\n\r\n${blank}`,
    ].map(latin1),
  ],
  parts: [
    ...replies.parts,
    ...[
      `X-Mark: ${blank}\r\n`,
      'Content-Type: text/html; charset=utf-8\r\n',
      'Cache-Control: public, max-age=9, stale-while-revalidate=9\r\n',
      'Vary: *\r\n',
      'Trailer: X-Mark\r\n',
      `Location: //127.0.0.1/${blank}\r\n`,
      'Set-Cookie: a=b; Domain=.example; Path=/x; SameSite\r\n',
      'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n',
    ].map(latin1),
  ],
}

const websocket =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const methods = ['GET', 'GET', 'GET', 'GET', 'HEAD', 'POST']
const ends = ['end', 'end', 'end', 'reset', 'stay', 'stay']

/** Ordinary requests to the assembled proxy in front of a target that answers with mutated bytes. */
export async function responsesSurface({ seed, variant = 0, front = numberedProxy }) {
  const bytes = Buffer.alloc(start + most)
  const chance = new Chance()
  const mutator = new Mutator(bytes, chance, corpus)
  const answers = new Map()
  const target = await hostileOrigin((path) => answers.get(path) ?? ordinaryAnswer(path))
  const options = {
    upstream: {
      // A connection that its last answer has spoilt may be the next one's: that is what retries are for.
      retry: { attempts: 2, backoff: { base: 1, max: 1 } },
      // What a cache fetches goes on without its client: those whose target says no more would fill a pool, and others wait.
      connections: 0,
    },
    // A target that stays is given up by its clients, before.
    timeouts: { head: '60s', body: '60s' },
  }
  const { proxy, asked } = front([target.url], options, variant)
  const { port } = await proxy.listen()

  async function run(index, input) {
    chance.begin(seed, index)
    mutator.make()
    const given = fill(Buffer.from(input ?? bytes.subarray(start, mutator.end)), index)
    const ending = ends[chance.below(ends.length)]
    // What is behind a whole answer comes with it: later it could only be taken for the next one (RFC 9112 section 9.2).
    const cuts = cutsOf(chance, Math.max(0, given.indexOf('\r\n\r\n')))
    answers.set(`/${markOf(index)}`, { bytes: given, cuts, ending })
    const upgrade = chance.below(6) === 0
    const method = upgrade ? 'GET' : methods[chance.below(methods.length)]
    const fields = [
      upgrade ? websocket : '',
      chance.below(2) === 0 ? 'Accept-Encoding: gzip, br\r\n' : '',
      chance.below(4) === 0 ? 'TE: trailers\r\nConnection: TE\r\n' : '',
      method === 'POST' ? 'Content-Length: 2\r\n' : '',
    ]
    const client = await FuzzClient.open(index, port)
    const body = method === 'POST' ? 'hi' : ''
    const version = !upgrade && chance.below(8) === 0 ? '1.0' : '1.1'
    Object.assign(client, { given, method, ending, version, left: false })
    const text = `${method} /${markOf(index)} HTTP/${version}\r\nHost: a.example\r\n${fields.join('')}\r\n${body}`
    client.socket.write(text)
    if (upgrade || ending === 'stay') return client
    client.end()
    return client
  }

  return {
    async batch(indices, input) {
      const clients = await Promise.all(indices.map((index) => run(index, input)))
      // What a target has said too much must not be the answer to somebody else.
      for (let i = 0; i < 3; i++) {
        const wrong = await patiently(port, `/ordinary-${i}`)
        if (wrong !== undefined) return failure(wrong, clients)
      }
      for (const client of clients) {
        // Its target says no more, or it has a tunnel: who waits leaves.
        if (client.over) client.end()
        else if (client.ending === 'stay' || client.socket.writable) {
          client.left = true
          client.reset()
        }
      }
      for (const client of clients) {
        const came = await inTime(client.closed)
        client.socket.destroy()
        if (!came) return failure('the connection is left open', [client])
      }
      const answered = { 2: 0, 4: 0, 5: 0 }
      for (const client of clients) {
        const fault = answerFault(client, answered)
        if (fault !== undefined) return failure(fault, [client])
      }
      const taken = asked.size - 3
      asked.clear()
      answers.clear()
      return { taken, answered }
    },
    async close() {
      await proxy.close({ drain: 0 })
      await target.close()
    },
  }
}

/** An ordinary request, made again where it meets connections whose end has not been heard of yet. */
async function patiently(port, path) {
  let wrong
  for (let i = 0; i < 8; i++) {
    wrong = await ordinary(port, path, `ordinary ${path}`)
    if (wrong === undefined || !wrong.includes('HTTP/1.1 502 ')) return wrong
  }
  return wrong
}

function ordinaryAnswer(path) {
  const body = `ordinary ${path}`
  const bytes = latin1(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  return { bytes, cuts: [], ending: 'stay' }
}

function answerFault({ index, given, received, method, version, ending, left }, answered) {
  const foreign = [...marksIn(received)].find((mark) => mark !== index)
  if (foreign !== undefined) return `an answer of run ${foreign}`
  const { responses, rest, fault } = readResponses(received, { ended: true, heads: method === 'HEAD' })
  if (fault !== undefined) return `the client got what it can't read in one way: ${fault}`
  const finals = responses.filter(({ status, tunnel }) => status >= 200 || tunnel)
  if (finals.length > 1) return `${finals.length} answers to one request`
  if (finals.length === 0 && rest === 0 && !left) {
    return `no answer to a ${method} of HTTP/${version}, whose target would ${ending}: ${JSON.stringify(received.toString('latin1'))}`
  }
  for (const { status } of finals) {
    const digit = Math.floor(status / 100)
    if (digit in answered) answered[digit]++
    if (status === 500 && !given.includes('500')) return 'a 500 of the proxy'
  }
  return undefined
}

function failure(wrong, clients) {
  const inputs = clients.map(({ index, given }) => ({ index, input: given.toString('base64') }))
  return { failure: { wrong, inputs } }
}
