import { getEventListeners } from 'node:events'
import { createUpstream, type Target } from '@sluice/upstream'
import { expect, it } from 'vitest'
import { originServer, owner } from '../../../test/kit/index.js'
import { forward, resolveTimeouts, type Transport, undiciTransport } from './index.js'

const own = owner()

function send(transport: Transport, target: Target, signal?: AbortSignal): Promise<unknown> {
  const out = { method: 'GET', path: '/', headers: [], body: null }
  const attempt = { target, out, timeouts: resolveTimeouts(), inform() {} }
  return transport.send(signal === undefined ? attempt : { ...attempt, signal })
}

/** A target that nobody listens at. */
async function dead(): Promise<Target> {
  const origin = await originServer()
  await origin.close()
  return createUpstream({ name: 'dead', targets: [origin.url] }).all[0] as Target
}

it('keeps no pool for a target that was never reached', async () => {
  const transport = undiciTransport()
  own({ close: () => transport.close(true) })
  const { pools } = transport as unknown as { pools: Map<number, Map<Target, unknown>> }
  const target = await dead()
  await expect(send(transport, target)).rejects.toMatchObject({ code: 'connection_refused' })
  expect([...pools.values()].flatMap((byTarget) => [...byTarget.keys()])).toEqual([])
})

it('leaves no listener at a signal that outlives the attempt', async () => {
  const transport = undiciTransport()
  own({ close: () => transport.close(true) })
  const { signal } = new AbortController()
  const target = await dead()
  await expect(send(transport, target, signal)).rejects.toMatchObject({ code: 'connection_refused' })
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

it.each([
  [() => forward({ transport: undiciTransport as never }), 'forward.transport'],
  [() => forward({ transport: { send() {} } as never }), 'forward.transport'],
  [() => undiciTransport({ dispatcher: {} as never }), 'undiciTransport.dispatcher'],
])('refuses what is no transport and no dispatcher: %s', (make, path) => {
  expect(make).toThrow(`${path}: got`)
})
