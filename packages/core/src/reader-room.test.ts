import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { expect, it } from 'vitest'
import { testCertificate } from '../../../test/kit/certificate.js'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import { ReaderPace } from './reader-pace.js'
import { StalledReaders } from './stalled-readers.js'

trapUnhandled()
const own = owner()
const certificate = testCertificate()
/** Two of these are less than any version of Node asks to wait for. */
const part = Buffer.alloc(4 * 1024, 'x')

/** A response of Node's whose client reads nothing. Over TLS what is written behind another part leaves later than that, also where the system has room. */
async function unread(secure: boolean) {
  const given = deferred<ServerResponse>()
  const listener = (_req: unknown, res: ServerResponse): void => given.resolve(res)
  const server = secure ? createSecureServer({ ...certificate }, listener) : createServer(listener)
  const { port } = own(await listen(server))
  const to = { port, host: '127.0.0.1' }
  const client = secure ? connectTls({ ...to, ca: certificate?.cert }) : connect(to).pause()
  client.on('error', () => {})
  own({ close: () => void client.destroy() })
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  return { client, res: await within(given.promise, 'a request') }
}

/** An answer among those of many that take nothing, of which a part waits. */
async function rig(secure: boolean) {
  const { client, res } = await unread(secure)
  const clock = { time: 0 }
  const readers = new StalledReaders(() => clock.time)
  const stalls = Array.from({ length: 32 }, () => readers.begin())
  clock.time = 1_000
  let drains = 0
  const pace = new ReaderPace(res, false, () => drains++, readers)
  // What the system has room for has gone in the same turn.
  while (res.writableLength === 0) {
    pace.write(part, undefined, part.length)
    await turn()
  }
  return { client, res, readers, stalls, pace, drains: () => drains }
}

it.skipIf(skipUnless(certificate, 'TLS: there is no openssl'))(
  'comes to who has written on, though many took nothing before and few do now',
  async () => {
    const { client, drains, pace, readers, stalls } = await rig(true)
    for (const stall of stalls) readers.end(stall)
    expect(readers.many).toBe(false)
    const before = drains()
    // As sources do that had it before they heard to wait: records of TLS come all at once.
    pace.write(part, undefined, part.length)
    await turn()
    client.resume()
    await until(() => drains() > before, 'room')
    pace.closed()
  },
)

it.each(['the app', 'the client'])('never comes once %s has ended it', async (who) => {
  const { client, drains, res } = await rig(false)
  const before = drains()
  const closed = once(res, 'close')
  if (who === 'the app') res.destroy()
  else client.resetAndDestroy()
  await within(closed, 'its close')
  await turn()
  expect(drains()).toBe(before)
})
