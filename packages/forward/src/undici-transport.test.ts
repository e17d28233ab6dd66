import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import type { BodyInit } from '@sluice/core'
import { createUpstream, type Target } from '@sluice/upstream'
import { expect, it } from 'vitest'
import { deadTarget } from '../../../test/kit/dead-target.js'
import { type Origin, originServer } from '../../../test/kit/origin-server.js'
import { outOfFiles } from '../../../test/kit/out-of-files.js'
import { owner } from '../../../test/kit/owner.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { forward, resolveTimeouts, type Transport, undiciTransport } from './index.js'

const own = owner()

function send(transport: Transport, target: Target, signal?: AbortSignal): Promise<unknown> {
  const out = { method: 'GET', path: '/', headers: [], body: null }
  const attempt = { target, out, timeouts: resolveTimeouts(), inform() {} }
  return transport.send(signal === undefined ? attempt : { ...attempt, signal })
}

/** A target that nobody listens at. */
async function dead(): Promise<Target> {
  const { url } = own(await deadTarget())
  return createUpstream({ name: 'dead', targets: [url] }).all[0] as Target
}

function live(origin: Origin): Target {
  return createUpstream({ name: 'live', targets: [origin.url] }).all[0] as Target
}

it('keeps no pool for a target that was never reached', async () => {
  const transport = undiciTransport()
  own({ close: () => transport.close(true) })
  const { pools } = transport as unknown as { pools: Map<number, Map<Target, unknown>> }
  const target = await dead()
  await expect(send(transport, target)).rejects.toMatchObject({ code: 'connection_refused' })
  expect([...pools.values()].flatMap((byTarget) => [...byTarget.keys()])).toEqual([])
})

it('refuses a body that is none', async () => {
  const transport = undiciTransport()
  own({ close: () => transport.close(true) })
  const out = { method: 'POST', path: '/', headers: [], body: {} as BodyInit }
  const attempt = { target: await dead(), out, timeouts: resolveTimeouts(), inform() {} }
  await expect(transport.send(attempt)).rejects.toMatchObject({ code: 'proxy_internal_error' })
})

it('opens nothing any more after close()', async () => {
  const origin = own(await originServer())
  const transport = undiciTransport()
  await transport.close()
  await expect(send(transport, live(origin))).rejects.toMatchObject({ code: 'proxy_closing' })
  expect(origin.sockets).toBe(0)
})

it('leaves no listener at a signal that outlives the attempt', async () => {
  const transport = undiciTransport()
  own({ close: () => transport.close(true) })
  const { signal } = new AbortController()
  const target = await dead()
  await expect(send(transport, target, signal)).rejects.toMatchObject({ code: 'connection_refused' })
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

it('an abort with any reason is no failure of the target', async () => {
  const transport = undiciTransport()
  own({ close: () => transport.close(true) })
  const origin = own(await originServer(() => {}))
  const controller = new AbortController()
  const answer = send(transport, live(origin), controller.signal)
  await origin.request()
  controller.abort(new Error('lost interest'))
  await expect(answer).rejects.toMatchObject({ code: 'client_left', source: 'client' })
})

it("a request body of a layer's own that fails is not the target's failure", async () => {
  const transport = undiciTransport()
  own({ close: () => transport.close(true) })
  const origin = own(await originServer(() => {}))
  const body = new Readable({ read() {} })
  const out = { method: 'POST', path: '/', headers: [], body }
  const answer = transport.send({ target: live(origin), out, timeouts: resolveTimeouts(), inform() {} })
  body.push('begun')
  await Promise.race([origin.request(), answer])
  body.destroy(new Error('the layer failed'))
  await expect(answer).rejects.toMatchObject({ code: 'proxy_internal_error', source: 'proxy' })
})

it.each([
  [() => forward({ transport: undiciTransport as never }), 'forward.transport'],
  [() => forward({ transport: { send() {} } as never }), 'forward.transport'],
  [() => undiciTransport({ dispatcher: {} as never }), 'undiciTransport.dispatcher'],
])('refuses what is no transport and no dispatcher: %s', (make, path) => {
  expect(make).toThrow(`${path}: got`)
})

it.skipIf(skipUnless(process.platform !== 'win32', 'limits of open files that can be set'))(
  'serves again when there are files again, though its first request met a process without any',
  async () => {
    const said = await outOfFiles(
      new URL('..', import.meta.url),
      `
      import { createServer } from 'node:http'
      import { once } from 'node:events'
      import { resolveTimeouts, undiciTransport } from '@sluice/forward'
      import { createUpstream } from '@sluice/upstream'
      const server = createServer((_req, res) => res.end('here')).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const url = 'http://127.0.0.1:' + server.address().port
      const target = createUpstream({ name: 'u', targets: [url] }).all[0]
      const transport = undiciTransport()
      const send = () => transport.send({
        target, out: { method: 'HEAD', path: '/', headers: [], body: null }, timeouts: resolveTimeouts(), inform() {},
      }).then(({ status }) => status, ({ code }) => code)
      starve()
      const first = await send()
      feed()
      console.log(first, await send())
      process.exit()`,
    )
    expect(said).toBe('proxy_overloaded 200\n')
  },
)
