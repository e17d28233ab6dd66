import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One small server of the demo: says its name, and how many requests it has answered. */
export interface DemoServer {
  readonly name: string
  readonly url: string
  close(): void
}

/** Starts a demo server on a free port of this machine. */
export async function demoServer(name: string): Promise<DemoServer> {
  let served = 0
  const server = createServer((req, res) => {
    if (req.url === '/die') {
      res.end(`${name} dies now\n`, () => close())
      return
    }
    served++
    res.setHeader('content-type', 'text/plain; charset=utf-8')
    res.end(`Hello from ${name}: request ${served}, ${req.method} ${req.url}\n`)
  })
  const close = (): void => {
    server.close()
    server.closeAllConnections()
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return { name, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}
