import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ProbeReport, probe } from '@sluice/guard/probe'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { testCertificate } from '../kit/certificate.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  own({
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => void server.close(resolve))
    },
  })
  return (server.address() as AddressInfo).port
}

const allowed = { Allow: 'GET, HEAD, POST, OPTIONS' }

/** An app that does all that the corpus can ask of one: it sends bodies back, knows its methods, and shows its fields. */
function app(req: IncomingMessage, res: ServerResponse): void {
  if (req.headers['x-probe'] === 'show the fields') {
    const { rawHeaders } = req
    const lines = rawHeaders.map((text, i) => (i % 2 === 0 ? `${text}: ${rawHeaders[i + 1]}\n` : ''))
    res.setHeader('Content-Type', 'text/plain').end(lines.join(''))
    return
  }
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    if (req.method === 'DELETE') res.writeHead(405, allowed).end()
    else if (req.method === 'OPTIONS') res.writeHead(204, allowed).end()
    else {
      res.setHeader('Content-Type', 'text/plain')
      res.end(req.method === 'POST' ? Buffer.concat(chunks) : 'ok')
    }
  })
}

const origin = async (): Promise<string> => `http://127.0.0.1:${await listening(createServer(app))}`
const certificate = testCertificate()

/**
 * What stays behind Node's parser, which takes these before anybody can look: lines before the request, spaces within its line,
 * and blanks around a length. RFC 9112 allows it to.
 */
const unseen = [
  'line-empty-before',
  'line-two-spaces',
  'length-space-behind',
  'length-spaces-before',
  'length-tab-before',
]

/** What the independent probe of decision 049 has no case for. */
const ours = /^(?:length-list-same|coding-parameter|target-absolute-elsewhere|body-.*)$/

/** How many of its cases are right, and how many of them are a MUST. */
function scored({ results }: ProbeReport): readonly [number, number] {
  const right = results.filter(({ id, verdict }) => verdict === 'right' && !ours.test(id))
  return [right.length, right.filter(({ level }) => level === 'must').length]
}

const besides = (report: ProbeReport): Record<string, string> =>
  Object.fromEntries(
    report.results
      .filter(({ id, verdict }) => verdict !== 'right' && !unseen.includes(id))
      .map(({ id, verdict, got }) => [id, `${verdict}: ${got}`]),
  )

describe('what gets through', () => {
  it('to listen() with the defaults: nothing', async () => {
    const proxy = createProxy(await origin())
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen(0, '127.0.0.1')
    const report = await probe(`http://127.0.0.1:${port}/`)
    expect(besides(report)).toEqual({})
    expect(report.results.filter(({ id }) => !ours.test(id))).toHaveLength(161)
    expect(scored(report)).toEqual([156, 111])
    // Who is refused hears so: a client that is only cut off would try again. Without a byte there is nothing to say.
    const unanswered = report.results.filter(({ got }) => !/^\d/.test(got)).map(({ id }) => id)
    expect(unanswered).toEqual(['size-nothing'])
    expect(report.results.filter(({ id }) => unseen.includes(id)).map(({ verdict }) => verdict)).toEqual(
      unseen.map(() => 'tolerated'),
    )
  })

  it.skipIf(certificate === undefined)('to listen() over TLS: nothing', async () => {
    const proxy = createProxy({ upstreams: { default: await origin() }, tls: certificate as never })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen(0, '127.0.0.1')
    expect(besides(await probe(`https://127.0.0.1:${port}/`))).toEqual({})
  })

  it('to a server that the proxy is attached to: what its own parser answers', async () => {
    const proxy = createProxy(await origin())
    own({ close: () => proxy.close({ drain: 0 }) })
    const server = createServer()
    proxy.attach(server)
    const report = await probe(`http://127.0.0.1:${await listening(server)}/`)
    // Node's own answer, 413: `harden(server)` gives another.
    expect(besides(report)).toEqual({ 'chunk-extension-long': 'wrong: 413, closed' })
  })

  it('to an Express app: what the app and its server do by themselves', async () => {
    const proxy = createProxy(await origin())
    own({ close: () => proxy.close({ drain: 0 }) })
    const server = createServer(express().use(proxy.listener))
    const report = await probe(`http://127.0.0.1:${await listening(server)}/`)
    // Nobody hears upgrades there: Node serves such a request as one that has asked for none.
    expect(besides(report)).toEqual({
      'chunk-extension-long': 'wrong: 413, closed',
      'upgrade-version': 'tolerated: 200',
    })
  })

  it('where the guard knows the methods of an app that says 200 to each: nothing', async () => {
    const server = createServer((req, res) => {
      req.method = req.method === 'POST' ? 'POST' : 'GET'
      app(req, res)
    })
    const proxy = createProxy({
      upstreams: { default: `http://127.0.0.1:${await listening(server)}` },
      guard: { validate: { methods: ['GET', 'HEAD', 'POST'] } },
    })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen(0, '127.0.0.1')
    expect(scored(await probe(`http://127.0.0.1:${port}/`))).toEqual([156, 111])
  })

  it('without the guard: more, but nothing that two could read in two ways', async () => {
    const proxy = createProxy({ upstreams: { default: await origin() }, guard: false })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen(0, '127.0.0.1')
    const report = await probe(`http://127.0.0.1:${port}/`)
    expect(report.wrong.filter(({ level }) => level === 'must')).toEqual([])
  })
})
