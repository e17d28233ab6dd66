import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { owner } from '../kit/owner.js'
import { seeded } from '../kit/seeded.js'
import { until } from '../kit/until.js'
import { type X509Pair, x509Root } from '../kit/x509.js'
import { type TlsProxyProcess, tlsProxyProcess } from './tls-proxy-process.js'

const own = owner()
const random = seeded(18)
const host = '127.0.0.1'
const changes = 300

/** Something that becomes of a file: most of it is nothing that can be served. */
function spoil(file: string, text: string): void {
  const anew = (write: () => void): void => {
    rmSync(file, { recursive: true, force: true })
    write()
  }
  const ways = [
    () => anew(() => writeFileSync(file, text)),
    () => anew(() => writeFileSync(file, text.slice(0, Math.floor(random() * text.length)))),
    () => anew(() => mkdirSync(file)),
    () => anew(() => {}),
    () => anew(() => writeFileSync(file, '')),
    () =>
      anew(() => {
        writeFileSync(`${file}.linked`, text)
        symlinkSync(`${file}.linked`, file)
      }),
    () => {
      rmSync(file, { recursive: true, force: true })
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    },
  ]
  ways[Math.floor(random() * ways.length)]?.()
}

/** Asks until it is told to stop, and counts. */
interface Load {
  readonly answered: number
  stop(): Promise<void>
}

/** One that asks by `ask` again and again; what fails is in `failed`. */
function load(ask: () => Promise<number>, failed: string[]): Load {
  let over = false
  let answered = 0
  const run = async (): Promise<void> => {
    while (!over) {
      const status = await ask().catch((error: Error) => error.message)
      if (status === 200) answered++
      else failed.push(String(status))
    }
  }
  const running = run()
  return {
    get answered() {
      return answered
    },
    async stop() {
      over = true
      await running
    },
  }
}

function overHttps(port: number, ca: string, agent: Agent | false): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host, ca, agent, servername: 'localhost' }, (res) => {
      res.resume().on('end', () => resolve(res.statusCode ?? 0))
    })
    asked.on('error', reject).end()
  })
}

function overHttp2(session: ClientHttp2Session): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/' })
    let status = 0
    stream.on('response', (head) => {
      status = head[':status'] ?? 0
    })
    stream
      .on('error', reject)
      .on('end', () => resolve(status))
      .resume()
  })
}

describe('certificates in files that change at random, under load', () => {
  it('fail no request, and the last good pair serves', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-changes-'))
    own({ close: () => rmSync(folder, { recursive: true, force: true }) })
    const root = await x509Root()
    const pairs: X509Pair[] = []
    for (let i = 0; i < 4; i++)
      pairs.push(await root.issue({ names: ['localhost', `n${i}.test`], keyType: i === 3 ? 'rsa' : 'ecdsa' }))
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const [first] = pairs as [X509Pair]
    writeFileSync(certFile, first.cert)
    writeFileSync(keyFile, first.key)
    const proxy: TlsProxyProcess = own(await tlsProxyProcess({ certificates: { certFile, keyFile } }))
    const { port } = proxy
    const before = await proxy.stats()

    const failed: string[] = []
    const agent = new Agent({ keepAlive: true })
    const session = connectHttp2(`https://127.0.0.1:${port}`, { servername: 'localhost', ca: root.cert })
    const loads = [
      load(() => overHttps(port, root.cert, agent), failed),
      load(() => overHttps(port, root.cert, false), failed),
      load(() => overHttps(port, root.cert, false), failed),
      load(() => overHttp2(session), failed),
    ]
    for (let i = 0; i < changes; i++) {
      const pair = pairs[i % pairs.length] as X509Pair
      if (i % 3 !== 0) spoil(certFile, pair.cert)
      if (i % 3 !== 1) spoil(keyFile, pair.key)
      // What counts is that others have asked meanwhile.
      const seen = loads[1]?.answered ?? 0
      await until(() => (loads[1]?.answered ?? 0) > seen, 'a new connection')
    }
    const last = await root.issue({ names: ['localhost', 'last.test'] })
    for (const [file, text] of [
      [certFile, last.cert],
      [keyFile, last.key],
    ] as const) {
      rmSync(file, { recursive: true, force: true })
      writeFileSync(file, text)
    }
    await until(async () => (await proxy.stats()).names.includes('last.test'), 'the last pair', 40_000)
    for (const each of loads) {
      const seen = each.answered
      await until(() => each.answered > seen, 'one more answer')
    }
    await Promise.all(loads.map((each) => each.stop()))
    agent.destroy()
    session.destroy()
    expect(failed).toEqual([])
    expect(proxy.faults).toEqual([])
    // Node opens a few when they are first needed.
    await until(
      async () => (await proxy.stats()).descriptors <= before.descriptors + 3,
      'descriptors',
      30_000,
    )
    expect((await proxy.stats()).rss).toBeLessThan(before.rss + 60e6)
    await proxy.end()
  })
})
