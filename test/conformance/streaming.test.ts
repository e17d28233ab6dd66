import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { fronts } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Bytes that the system may hold by itself: each of two connections has a buffer at both ends, which grow as it likes. */
function heldBySystem(): number {
  const most = (name: string): number =>
    Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'latin1').trim().split(/\s+/)[2])
  try {
    return 2 * (most('tcp_rmem') + most('tcp_wmem'))
  } catch {
    return 0
  }
}

/** What may be on the way while nobody reads: far less than there is to send. */
const some = Math.max(32 * 1024 * 1024, heldBySystem())
const total = some + 32 * 1024 * 1024
const piece = Buffer.alloc(64 * 1024, 'x')

/** Writes `total` bytes as fast as they are taken; `count` tells how many the response took over. */
function pour(res: ServerResponse, count: (bytes: number) => void): void {
  let sent = 0
  const more = (): void => {
    while (sent < total) {
      sent += piece.length
      count(sent)
      if (!res.write(piece)) return void res.once('drain', more)
    }
    res.end()
  }
  more()
}

/** Each kind of connection once: a framework around it changes nothing about its pace. */
const connections = fronts.filter(({ name, framework }) => name.startsWith('createProxy') && !framework)

describe.each(connections)('backpressure through $name', (kind) => {
  it('a slow reader slows the target down, so memory stays bounded', async () => {
    let poured = 0
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('Content-Length', total)
        pour(res, (bytes) => {
          poured = bytes
        })
      }),
    )
    const front = own(await kind.start(origin.url))
    const { body } = await front.client.call().head
    // Nobody reads: the target comes to a stop.
    expect(await atRest(() => poured)).toBeLessThan(some)
    let read = 0
    body.on('data', (chunk: Buffer) => {
      read += chunk.length
    })
    await within(once(body, 'end'), 'the end of the body')
    expect(read).toBe(total)
  })

  it('a slow target slows the upload down, so memory stays bounded', async () => {
    const go = deferred()
    let received = 0
    const origin = own(
      await originServer(async (req, res) => {
        await go.promise
        for await (const chunk of req) received += (chunk as Buffer).length
        res.end(String(received))
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ method: 'POST', open: true })
    let sent = 0
    const more = (): void => {
      while (sent < total) {
        sent += piece.length
        if (!call.body.write(piece)) return void call.body.once('drain', more)
      }
      call.body.end()
    }
    more()
    await origin.request()
    expect(await atRest(() => sent)).toBeLessThan(some)
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: String(total) })
  })
})

describe.each(fronts)('streaming through $name', (kind) => {
  it('the head arrives before the body has begun', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.writeHead(200, { 'X-Early': 'yes' })
        res.flushHeaders()
        await go.promise
        res.end('body')
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call()
    expect(await within(call.head, 'the head')).toMatchObject({ status: 200 })
    go.resolve()
    expect(await call.answer()).toMatchObject({ text: 'body', complete: true })
  })

  it('each part of an upload arrives before the next is sent, and so do the parts of the answer', async () => {
    const origin = own(
      await originServer((req, res) => {
        res.flushHeaders()
        req.pipe(res)
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ method: 'POST', open: true })
    // undici sends the head together with the body's first bytes.
    call.body.write('one')
    const { body } = await within(call.head, 'the head')
    body.setEncoding('utf8')
    let heard = ''
    body.on('data', (text: string) => {
      heard += text
    })
    await until(() => heard === 'one', 'the first part')
    for (const text of ['two', 'three']) {
      const before = heard
      call.body.write(text)
      await until(() => heard === before + text, `the echo of ${text}`)
    }
    call.body.end()
    await within(once(body, 'end'), 'the end')
  })

  it.each(['text/event-stream', 'text/event-stream; charset=utf-8', 'application/grpc-like', undefined])(
    'each event of a %s stream arrives before the next is sent',
    async (type) => {
      let response: ServerResponse | undefined
      const origin = own(
        await originServer((_req, res) => {
          if (type !== undefined) res.setHeader('Content-Type', type)
          res.flushHeaders()
          response = res
        }),
      )
      const front = own(await kind.start(origin.url))
      const { body } = await front.client.call({ headers: ['Accept', 'text/event-stream'] }).head
      body.setEncoding('utf8')
      for (let i = 0; i < 5; i++) {
        response?.write(`data: ${i}\n\n`)
        const [text] = (await within(once(body, 'data'), `event ${i}`)) as [string]
        expect(text).toBe(`data: ${i}\n\n`)
      }
      response?.end()
      await within(once(body, 'end'), 'the end')
    },
  )

  it('an answer may come before the upload is whole, and the rest does no harm', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(413)
        res.end('too large')
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call({ method: 'POST', open: true })
    call.body.on('error', () => {})
    call.body.write(piece)
    const answer = await call.answer()
    expect(answer).toMatchObject({ status: 413, text: 'too large', complete: true })
    call.abort()
    await until(() => front.inFlight === 0, 'the lease to be released')
    expect(await front.client.ask({ path: '/next' })).toMatchObject({ status: 413 })
  })
})
