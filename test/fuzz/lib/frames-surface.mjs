import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { devCertificate } from '@sluice/tls'
import { Chance } from './chance.mjs'
import { http2, preface } from './frame-corpus.mjs'
import { cutsOf, FuzzClient, inTime } from './fuzz-client.mjs'
import { fill, marksIn } from './mark.mjs'
import { Mutator, most, start } from './mutator.mjs'
import { numberedProxy } from './numbered-proxy.mjs'
import { watchedTarget } from './watched-target.mjs'

/** Mutated frames of HTTP/2 over TLS to the assembled proxy, in front of a strict target of HTTP/1.1. */
export async function framesSurface({ seed, variant = 0, front = numberedProxy }) {
  const bytes = Buffer.alloc(start + most)
  const chance = new Chance()
  const mutator = new Mutator(bytes, chance, http2)
  const faults = []
  const target = await watchedTarget(faults)
  const { cert, key } = await certificate()
  const begin = async () => {
    const options = {
      tls: { cert, key },
      // After an error of a connection Node reads no more of it, and doesn't hear that its client has gone (docs/decisions/050): the
      // request that is under way ends by this alone.
      timeouts: { requestBody: '250ms' },
    }
    const { proxy, asked } = front([target.url], options, variant)
    const { port } = await proxy.listen()
    return { proxy, asked, port }
  }
  let running = await begin()

  async function run(index, input) {
    chance.begin(seed, index)
    mutator.make()
    const given = fill(Buffer.from(input ?? bytes.subarray(start, mutator.end)), index)
    const whole = input === undefined && chance.below(16) > 0 ? Buffer.concat([preface, given]) : given
    const cuts = cutsOf(chance, whole.length)
    const client = await open(index, running.port, 'h2')
    client.given = whole
    await client.write(whole, cuts)
    if (chance.below(16) === 0) client.end()
    return client
  }

  return {
    async batch(indices, input) {
      const { asked, port } = running
      const clients = await Promise.all(indices.map((index) => run(index, input)))
      for (let i = 0; i < 2; i++) {
        const wrong = await ordinaryOverTls(port)
        if (wrong !== undefined) return failure(wrong, clients)
      }
      for (const client of clients) client.socket.destroy()
      const wrong = (await target.leftOvers()) ?? faults[0]
      if (wrong !== undefined) return failure(wrong, clients)
      const answered = { 2: 0, 4: 0, 5: 0 }
      for (const client of clients) {
        const fault = framesFault(client, answered)
        if (fault !== undefined) return failure(fault, [client])
      }
      const taken = asked.size - 2
      asked.clear()
      target.forget()
      return { taken, answered }
    },
    /** For the same reason connections that have failed are left until a proxy closes: a new one takes its place. */
    async renew() {
      await running.proxy.close({ drain: 0 })
      running = await begin()
    },
    async close() {
      await running.proxy.close({ drain: 0 })
      await target.close()
    },
  }
}

/** One for all: it is made once, and its folder is gone. */
let made

function certificate() {
  made ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-fuzz-'))
    try {
      return await devCertificate({ folder })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })()
  return made
}

async function open(index, port, protocol) {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: [protocol] })
  const client = new FuzzClient(index, socket)
  await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve))
  client.reset = () => socket.destroy()
  return client
}

async function ordinaryOverTls(port) {
  const client = await open(-1, port, 'http/1.1')
  client.socket.write('GET /ordinary HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n')
  const came = await inTime(client.closed)
  client.socket.destroy()
  const text = client.received.toString('latin1')
  if (came && text.startsWith('HTTP/1.1 200 ') && text.endsWith(' 0 ordinary')) return undefined
  return `an ordinary request got ${JSON.stringify(text.slice(0, 400))}`
}

/** Frames that come one behind the other, of types that a server may send. */
function framesFault({ index, received }, answered) {
  const foreign = [...marksIn(received)].find((mark) => mark !== index)
  if (foreign !== undefined) return `an answer of run ${foreign}`
  for (let at = 0; at + 9 <= received.length; ) {
    const [length, type, stream] = [
      received.readUIntBE(at, 3),
      received[at + 3],
      received.readUInt32BE(at + 5),
    ]
    if (length > 16_384) return `a frame of ${length} bytes`
    if (type > 9 || type === 2 || type === 5) return `a frame of type ${type}`
    // A status of the static table (RFC 7541 appendix A): 200 is 8 there, 400 is 12, 404 is 13, 500 is 14.
    if (type === 1 && at + 9 < received.length) {
      if (stream % 2 === 0) return `an answer on stream ${stream}`
      const digit = { 136: 2, 140: 4, 141: 4, 142: 5 }[received[at + 9]]
      if (digit === 5) return 'a 500'
      if (digit !== undefined) answered[digit]++
    }
    at += 9 + length
  }
  return undefined
}

function failure(wrong, clients) {
  const inputs = clients.map(({ index, given }) => ({ index, input: given.toString('base64') }))
  return { failure: { wrong, inputs } }
}
