import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { fronts, leakCheck, owner, seeded, trapUnhandled, until } from '../kit/index.js'

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

describe.each(fronts.filter(({ name }) => /listen\(\)|http2 without TLS/.test(name)))(
  'failover through $name',
  (kind) => {
    it('targets die and come back under load, one at a time: no GET fails', async () => {
      const leaks = leakCheck()
      const targets = [own(new Mortal()), own(new Mortal()), own(new Mortal())]
      for (const target of targets) await target.rise()
      const front = own(await kind.start({ targets: targets.map(({ port }) => `http://127.0.0.1:${port}`) }))
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
        await until(() => target.answered > answered, 'the target to be used again', 60_000)
      }
      going = false
      await Promise.all(clients)
      expect(failures).toEqual([])
      expect(asked).toBeGreaterThan(24 * 40)
      await until(() => front.inFlight === 0, 'all leases to be released')
      await front.close()
      for (const target of targets) await target.close()
      await leaks.settled()
      // A target that comes back is used again when its time is over: about a second, sixty times.
    }, 240_000)
  },
)
