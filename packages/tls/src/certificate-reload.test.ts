import { X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Agent, createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { type X509Pair, x509Root } from '../../../test/kit/x509.js'
import { type CertificateFault, certificates } from './index.js'

trapUnhandled()
const own = owner()

const root = await x509Root()
const pairs = await Promise.all(Array.from({ length: 8 }, () => root.issue({ names: ['a.test'] })))
const fingerprints = pairs.map(({ der }) => new X509Certificate(der).fingerprint256)

it('under load: kept connections, new ones and one answer that lasts all the time, and none is dropped', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-reload-'))
  own({ close: () => rmSync(folder, { recursive: true, force: true }) })
  const at = (name: string): string => join(folder, name)
  const put = (name: string, text: string): void => {
    mkdirSync(dirname(at(name)), { recursive: true })
    writeFileSync(at(name), text)
  }
  const over = (name: string, text: string): void => {
    put(`${name}.new`, text)
    renameSync(at(`${name}.new`), at(name))
  }
  const pair = (i: number): X509Pair => pairs[i] as X509Pair
  put('in/tls.crt', pair(0).chain)
  put('in/tls.key', pair(0).key)

  const faults: CertificateFault[] = []
  const store = certificates(
    { certFile: at('in/tls.crt'), keyFile: at('in/tls.key') },
    { onFault: (fault) => faults.push(fault) },
  )
  own({ close: () => store[Symbol.dispose]() })
  const server = createServer({ SNICallback: store.sniCallback }, (req, res) => {
    if (req.url === '/long') res.write('begun')
    else res.end('ok')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  own({
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  })
  const { port } = server.address() as AddressInfo
  const to = { host: '127.0.0.1', port, servername: 'a.test', ca: root.cert }

  const get = (agent: Agent, path = '/'): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      request({ ...to, agent, path }, resolve)
        .on('error', reject)
        .end()
    })
  const ask = async (agent: Agent): Promise<void> => {
    let text = ''
    for await (const chunk of await get(agent)) text += String(chunk)
    expect(text).toBe('ok')
  }
  /** What a new connection is shown. */
  const shown = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const socket: TLSSocket = connect(to, () => {
        const { raw } = socket.getPeerCertificate()
        socket.destroy()
        resolve(pairs.findIndex(({ der }) => der.equals(raw)))
      })
      socket.on('error', reject)
    })

  const kept = new Agent({ keepAlive: true, maxSockets: 2 })
  const single = new Agent({ keepAlive: false })
  own({ close: () => kept.destroy() })
  const long = await get(kept, '/long')
  let cut: Error | undefined
  long.on('error', (error) => {
    cut = error
  })
  long.resume()

  let stopped = false
  let asked = 0
  const load = async (agent: Agent): Promise<void> => {
    while (!stopped) {
      await ask(agent)
      asked++
    }
  }
  const clients = [load(kept), load(single)]

  const link = (to: string, name: string): void => {
    symlinkSync(to, at(`${name}.new`))
    renameSync(at(`${name}.new`), at(name))
  }
  const both = (i: number, inFolder: string, write = put): void => {
    write(`${inFolder}/tls.crt`, pair(i).chain)
    write(`${inFolder}/tls.key`, pair(i).key)
  }
  const changes: ((i: number) => void)[] = [
    (i) => both(i, 'in', over),
    (i) => {
      put('in/tls.crt', '')
      put('in/tls.key', '')
      both(i, 'in')
    },
    (i) => {
      over('in/tls.crt', pair(i).chain)
      setImmediate(() => over('in/tls.key', pair(i).key))
    },
    (i) => {
      unlinkSync(at('in/tls.key'))
      unlinkSync(at('in/tls.crt'))
      both(i, 'in')
    },
    (i) => {
      both(i, 'next')
      renameSync(at('in'), at('before'))
      renameSync(at('next'), at('in'))
    },
    (i) => {
      both(i, 'in/..1')
      link('..1', 'in/..data')
      for (const name of ['tls.crt', 'tls.key']) link(`..data/${name}`, `in/${name}`)
    },
    (i) => {
      both(i, 'in/..2')
      link('..2', 'in/..data')
      rmSync(at('in/..1'), { recursive: true })
    },
  ]
  for (const [i, change] of changes.entries()) {
    const before = asked
    change(i + 1)
    await until(() => store.infos()[0]?.fingerprint === fingerprints[i + 1], `certificate ${i + 1}`)
    expect(await shown()).toBe(i + 1)
    await until(() => asked > before + 2, 'more requests')
  }
  // What is bad changes nothing.
  put('in/..2/tls.key', 'x')
  await until(() => faults.some(({ error }) => /no private key/.test(error.message)), 'a fault')
  expect(await shown()).toBe(changes.length)
  stopped = true
  await Promise.all(clients)
  expect([cut, long.complete]).toEqual([undefined, false])
  expect(faults.every((fault) => fault.kept)).toBe(true)
})
