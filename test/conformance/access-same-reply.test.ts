import { cors, forwardAuth, requestId, securityHeaders } from '@sluice/access'
import { type Client, type Context, type Layer, ProxyError, type Reply } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { fronts, listening } from '../kit/fronts.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const app = 'https://app.example'

/** A handler that answers each request with the same reply, with what it says then. */
function constant(headers: string[]): { end: Layer<Context & Client>; reply: Reply } {
  const reply: Reply = { status: 200, headers, body: 'same' }
  return { reply, end: () => () => reply }
}

describe('a reply that a handler gives each time', () => {
  it.each(fronts)('is left as it is by all layers of access through $name', async (kind) => {
    let visits = 0
    const service = own(
      await originServer((_req, res) => void res.setHeader('Set-Cookie', `s=${++visits}`).end()),
    )
    const { end, reply } = constant(['Access-Control-Allow-Methods', 'X', 'X-Powered-By', 'y'])
    const before = structuredClone(reply)
    const { client } = await accessSite(own, kind, [
      requestId({ generate: () => `id${visits}` }) as never,
      securityHeaders(),
      cors({ origins: [app], expose: ['X-A'] }),
      forwardAuth({ url: service.url, cookies: true }),
      end,
    ])
    const heard = []
    for (let i = 0; i < 3; i++) {
      const { headers } = await client.ask({ headers: ['Origin', app] })
      heard.push(values(headers, 'set-cookie').join())
      expect(values(headers, 'access-control-allow-origin')).toEqual([app])
      expect(values(headers, 'x-frame-options')).toEqual(['SAMEORIGIN'])
      expect(values(headers, 'access-control-allow-methods')).toEqual([])
    }
    // A client that got those of others would be in their sessions.
    expect(heard).toEqual(['s=1', 's=2', 's=3'])
    expect(reply).toEqual(before)
  })
})

describe('a session that was renewed', () => {
  it('is, where the target then fails', async () => {
    const decide: OriginHandler = (_req, res) => void res.setHeader('Set-Cookie', 's=new').end()
    const service = own(await originServer(decide))
    const fails: Layer<Context & Client> = () => () => {
      throw new ProxyError('connection_refused')
    }
    const { client } = await accessSite(own, listening, [
      forwardAuth({ url: service.url, cookies: true }),
      fails,
    ])
    const { headers, status } = await client.ask()
    expect([status, values(headers, 'set-cookie')]).toEqual([502, ['s=new']])
  })
})
