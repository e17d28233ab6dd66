import { createServer } from 'node:http2'
import { serverOptions } from '@sluice/guard'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import type { HttpClient } from '../kit/client.js'
import { http2Fronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

/** What every server should let a client have (RFC 9113 section 6.5.2). */
const few = 100
/** Nearly as many as `serverOptions` lets it have. */
const many = 240
/** More than anybody's buffers hold. */
const large = Buffer.alloc(256 * 1024, 'x')

async function largeAndSmall(): Promise<string> {
  const origin = own(await originServer((req, res) => void res.end(req.url === '/large' ? large : 'small')))
  return origin.url
}

/** So many ask for what is large and read nothing of it, then another one asks, then all of them read. */
async function askedAtOnce(client: HttpClient, streams: number): Promise<void> {
  const calls = Array.from({ length: streams }, () => client.call({ path: '/large' }))
  for (const { head } of calls) expect((await head).status).toBe(200)
  expect(await client.ask({ path: '/small' })).toMatchObject({ status: 200, text: 'small' })
  const answers = await Promise.all(calls.map((call) => call.answer()))
  for (const { body, complete } of answers) expect([body.length, complete]).toEqual([large.length, true])
}

describe('a connection of HTTP/2 with large answers that nobody reads', () => {
  it.each(http2Fronts)('has room for another request, through $name', async (kind) => {
    const { client } = own(await kind.start({ targets: await largeAndSmall(), connections: 0 }))
    await askedAtOnce(client, kind.name.startsWith('createProxy({ tls })') ? many : few)
  })

  it('has room for more of them on a server with serverOptions()', async () => {
    const proxy = own(
      createProxy({ upstreams: { site: { targets: [await largeAndSmall()], connections: 0 } } }),
    )
    const server = createServer(serverOptions())
    proxy.attach(server)
    const { client } = own(await listen(server, { http2: true }))
    await askedAtOnce(client, many)
  })
})
