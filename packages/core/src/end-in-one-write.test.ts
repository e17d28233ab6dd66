import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { testCertificate } from '../../../test/kit/certificate.js'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { deferred } from '../../../test/kit/until.js'
import { endInOneWrite, endsInOneWrite } from './end-in-one-write.js'

const own = owner()
const certificate = testCertificate()
const servers = {
  'node:http': (listener: RequestListener) => ({ server: createServer(listener), ca: undefined }),
  'node:https': (listener: RequestListener) => ({
    server: createSecureServer({ ...certificate }, listener),
    ca: certificate?.cert,
  }),
}

/** Counts what the streams of Node give the connection to write. */
function countWrites(socket: Socket): () => number {
  let writes = 0
  for (const name of ['_write', '_writev'] as const) {
    const write = socket[name] as (...args: unknown[]) => void
    socket[name] = function (this: Socket, ...args: unknown[]) {
      writes++
      write.apply(this, args)
    }
  }
  return () => writes
}

describe('an answer of one small piece', () => {
  it
    .skipIf(skipUnless(certificate, 'TLS: there is no openssl'))
    .each(Object.keys(servers) as (keyof typeof servers)[])('is one write, on %s', async (kind) => {
    const finished = deferred<number>()
    const { server, ca } = servers[kind]((req, res) => {
      const writes = countWrites(req.socket)
      res.on('finish', () => finished.resolve(writes()))
      const bytes = Buffer.from('h\u00e9llo', 'latin1')
      res.writeHead(200, { 'Content-Length': bytes.length })
      expect(endsInOneWrite(res, bytes)).toBe(true)
      endInOneWrite(res, bytes)
    })
    const { client } = own(await listen(server, { ca }))
    expect((await client.ask()).body.toString('latin1')).toBe('h\u00e9llo')
    expect(await finished.promise).toBe(1)
  })

  it('is nothing of the head that loggers find when it is out', async () => {
    const finished = deferred<boolean>()
    const { client } = own(
      await listen(
        createServer((_req, res) => {
          const head = () => (res as unknown as { _header: string })._header
          const bytes = Buffer.from('secret')
          res.writeHead(200, { 'Content-Length': bytes.length })
          const before = head()
          res.on('finish', () => finished.resolve(head() === before))
          endInOneWrite(res, bytes)
        }),
      ),
    )
    expect(await client.ask()).toMatchObject({ status: 200, text: 'secret', complete: true })
    expect(await finished.promise).toBe(true)
  })

  it('goes behind a head that has left meanwhile', async () => {
    const { client } = own(
      await listen(
        createServer((_req, res) => {
          const bytes = Buffer.from('small')
          res.writeHead(200, { 'Content-Length': bytes.length })
          expect(endsInOneWrite(res, bytes)).toBe(true)
          res.flushHeaders()
          endInOneWrite(res, bytes)
        }),
      ),
    )
    expect(await client.ask()).toMatchObject({ status: 200, text: 'small', complete: true })
  })
})
