import { createServer } from 'node:http'
import { balance, maglev, partsOf, roundRobin, sticky } from '@sluice/balance'
import { attach, type Client, chain, clientAddress, toListener } from '@sluice/core'
import { forward, undiciTransport, wireTransport } from '@sluice/forward'
import { retry } from '@sluice/resilience'
import { createUpstream, type Target } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { deadTarget } from '../kit/dead-target.js'
import { listen } from '../kit/listen.js'
import { mounts } from '../kit/mounts.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()
const secret = 'a secret of the tests'

async function origins(count: number): Promise<Origin[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) =>
      own(await originServer((_req, res) => res.writeHead(200, ['Set-Cookie', 'own=1']).end(String(i)))),
    ),
  )
}

const pairOf = (headers: readonly string[]): string =>
  values(headers, 'set-cookie')
    .find((value) => value.startsWith('sluice_affinity='))
    ?.split(';', 1)[0] as string

describe.each(mounts.map((mount) => ({ name: mount.name, mount })))('over $name', ({ mount }) => {
  it.each([
    ['wire', () => wireTransport()],
    ['undici', () => undiciTransport()],
  ])('clients stay on their targets, and cookies of the target pass beside ours: %s', async (_name, make) => {
    const transport = own(make())
    const targets = (await origins(3)).map(({ url }) => url)
    const upstream = createUpstream({ name: 'site', targets })
    const handler = chain()
      .use(balance(upstream, sticky(roundRobin(), { secret })))
      .handle(forward({ transport }))
    const { client } = own(await mount.serve({ listener: toListener(handler) }))
    for (let i = 0; i < 4; i++) {
      const first = await client.ask()
      expect(values(first.headers, 'set-cookie')).toHaveLength(2)
      expect(values(first.headers, 'set-cookie').some((value) => value.endsWith('; Secure'))).toBe(mount.tls)
      for (let again = 0; again < 2; again++) {
        const next = await client.ask({ headers: ['Cookie', `a=b; ${pairOf(first.headers)}`] })
        expect(next.text).toBe(first.text)
        expect(values(next.headers, 'set-cookie')).toEqual(['own=1'])
      }
    }
  })

  it('a client goes by its address', async () => {
    const transport = own(wireTransport())
    const upstream = createUpstream({ name: 'site', targets: (await origins(3)).map(({ url }) => url) })
    const handler = chain()
      .use(clientAddress({ trust: ['127.0.0.1'] }))
      .use(
        balance(
          upstream,
          maglev((ctx: Client) => ctx.client.address),
        ),
      )
      .handle(forward({ transport }))
    const { client } = own(await mount.serve({ listener: toListener(handler) }))
    const ask = async (i: number): Promise<string> =>
      (await client.ask({ headers: ['X-Forwarded-For', `192.0.2.${i}`] })).text
    const homes = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(i)))
    expect(new Set(homes).size).toBe(3)
    expect(await Promise.all(Array.from({ length: 20 }, (_, i) => ask(i)))).toEqual(homes)
  })

  it('a key function that throws is answered with 500', async () => {
    const transport = own(wireTransport())
    const [origin] = (await origins(1)) as [Origin]
    const upstream = createUpstream({ name: 'site', targets: [origin.url] })
    const key = (): string => {
      throw new Error('a bug')
    }
    const handler = chain()
      .use(balance(upstream, maglev(key)))
      .handle(forward({ transport }))
    const { client } = own(await mount.serve({ listener: toListener(handler) }))
    const answer = await client.ask()
    expect(answer.status).toBe(500)
    expect(answer.text).not.toMatch(/bug|key/)
    expect(origin.requests).toHaveLength(0)
  })
})

it('a client whose target is down is served by another one, and keeps its cookie', async () => {
  const transport = own(wireTransport())
  const [alive] = (await origins(1)) as [Origin]
  const dead = own(await deadTarget())
  const upstream = createUpstream({ name: 'site', targets: [dead.url, alive.url] })
  const policy = sticky(roundRobin(), { secret })
  const handler = chain().use(retry()).use(balance(upstream, policy)).handle(forward({ transport }))
  const { client } = own(await listen(createServer(toListener(handler))))
  // Its cookie says the dead one.
  const cookie = partsOf(policy)
    .affinity?.cookie(upstream.all[0] as Target, {})
    .split(';', 1)[0] as string
  for (const method of ['GET', 'POST']) {
    const answer = await client.ask({ method, headers: ['Cookie', cookie] })
    expect([answer.status, values(answer.headers, 'set-cookie')]).toEqual([200, ['own=1']])
  }
})

it('a WebSocket brings its cookie with the handshake, and comes back to its target', async () => {
  const transport = own(wireTransport())
  const urls: string[] = []
  for (let i = 0; i < 2; i++) {
    const sockets = own(new WebSocketServer({ noServer: true }))
    const origin = own(await originServer())
    origin.server.on('upgrade', (req, socket, head) =>
      sockets.handleUpgrade(req, socket, head, (each) => each.send(String(i))),
    )
    urls.push(origin.url)
  }
  const upstream = createUpstream({ name: 'site', targets: urls })
  const handler = chain()
    .use(balance(upstream, sticky(roundRobin(), { secret })))
    .handle(forward({ transport }))
  const server = createServer()
  attach(server, handler)
  const { port } = own(await listen(server))
  const open = async (headers: Record<string, string>): Promise<{ said: string; cookie: string }> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers })
    const fields = new Promise<readonly string[]>((resolve) =>
      socket.once('upgrade', ({ rawHeaders }) => resolve(rawHeaders)),
    )
    const said = new Promise<string>((resolve) => socket.once('message', (data) => resolve(String(data))))
    const answer = { said: await said, cookie: pairOf(await fields) }
    socket.terminate()
    return answer
  }
  const first = await open({})
  for (let i = 0; i < 3; i++) {
    const again = await open({ cookie: first.cookie })
    expect([again.said, again.cookie]).toEqual([first.said, undefined])
  }
})
