import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Upstream } from '@sluice/upstream'
import { createProxy, type TlsOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { testCertificate } from '../kit/certificate.js'
import { httpClient } from '../kit/client.js'
import { type Front, frontOf, fronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { mountNamed } from '../kit/mounts.js'
import { owner } from '../kit/owner.js'
import { seeded } from '../kit/seeded.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** A target that can be killed and comes back on its port. */
class Mortal {
  port = 0
  answered = 0
  private server: Server | undefined
  private readonly sockets = new Set<Socket>()

  async rise(): Promise<void> {
    this.server = createServer((req, res) => {
      req.resume()
      req.on('end', () => {
        this.answered++
        res.end('ok')
      })
    })
    this.server.on('connection', (socket) => {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.sockets.delete(socket))
    })
    const { server, port } = this
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    this.port = (server.address() as AddressInfo).port
  }

  /** As the kernel does it for a process that is killed: every connection is reset. */
  async fall(): Promise<void> {
    const { server } = this
    this.server = undefined
    await new Promise<void>((resolve) => {
      server?.close(() => resolve())
      for (const socket of this.sockets) socket.resetAndDestroy()
      if (server === undefined) resolve()
    })
  }

  close(): Promise<void> {
    return this.fall()
  }
}

/**
 * The facade's proxy, where a target that was lost is out for a tenth of a second and not for one: what is shown is what becomes of
 * requests each time that one goes and comes.
 */
function proxyBefore(targets: readonly string[], tls?: TlsOptions) {
  const ejection = { base: '100ms', localBase: '100ms' } as const
  const proxy = createProxy({
    upstreams: { default: { targets: [...targets], ejection } },
    ...(tls === undefined ? {} : { tls }),
  })
  const upstream = proxy.upstreams.get('default') as Upstream
  return { proxy, upstream, handler: proxy.handler, close: () => proxy.close({ drain: 0 }) }
}

interface Kind {
  readonly name: string
  start(targets: readonly string[]): Promise<Front>
}

function listening(name: string, http2: boolean, tls?: ReturnType<typeof testCertificate>): Kind {
  return {
    name,
    async start(targets) {
      const built = proxyBefore(targets, tls)
      const { port } = await built.proxy.listen()
      const client = httpClient({ port, http2, ca: tls?.cert })
      return frontOf(built, { port, client, close: async () => {} })
    },
  }
}

const certificate = testCertificate()
const cleartext = 'node:http2 without TLS'
const kinds: readonly Kind[] = [
  listening('createProxy().listen()', false),
  ...(certificate === undefined
    ? []
    : [
        listening('createProxy({ tls }).listen(), HTTP/1.1', false, certificate),
        listening('createProxy({ tls }).listen(), HTTP/2', true, certificate),
      ]),
  {
    name: `createProxy().listener on ${cleartext}`,
    async start(targets) {
      const built = proxyBefore(targets)
      return frontOf(built, await mountNamed(cleartext).serve(built.proxy))
    },
  },
  // These eject nobody.
  ...fronts
    .filter(({ name }) => name.startsWith(`a chain on ${cleartext}`))
    .map((kind) => ({ name: kind.name, start: (targets: readonly string[]) => kind.start({ targets }) })),
]

describe.each(kinds)('failover through $name', (kind) => {
  it('targets die and come back under load, one at a time: no GET fails', async () => {
    const leaks = leakCheck()
    const targets = [own(new Mortal()), own(new Mortal()), own(new Mortal())]
    for (const target of targets) await target.rise()
    const front = own(await kind.start(targets.map(({ port }) => `http://127.0.0.1:${port}`)))
    const random = seeded(2)
    let going = true
    let asked = 0
    const failures: string[] = []
    const client = async (): Promise<void> => {
      while (going) {
        asked++
        const answer = await front.client.ask({ path: `/${asked}` }).catch((error: Error) => error)
        if (answer instanceof Error) failures.push(answer.message)
        else if (answer.status !== 200 || !answer.complete || answer.text !== 'ok') {
          failures.push(`${answer.status} ${answer.complete} ${JSON.stringify(answer.text)}`)
        }
      }
    }
    const clients = Array.from({ length: 20 }, client)
    for (let i = 0; i < 24; i++) {
      const target = targets[Math.floor(random() * targets.length)] as Mortal
      const seen = asked
      await target.fall()
      await until(() => asked > seen + 40, 'requests while a target is dead')
      await target.rise()
      const answered = target.answered
      await until(() => target.answered > answered, 'the target to be used again')
    }
    going = false
    await Promise.all(clients)
    expect(failures).toEqual([])
    expect(asked).toBeGreaterThan(24 * 40)
    await until(() => front.inFlight === 0, 'all leases to be released')
    await front.close()
    for (const target of targets) await target.close()
    await leaks.settled()
  }, 240_000)
})
