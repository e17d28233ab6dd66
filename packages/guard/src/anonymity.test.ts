import type { Client, Context, Reply } from '@sluice/core'
import { expect, it } from 'vitest'
import { anonymity } from './anonymity.js'

const ctx = () =>
  ({
    out: { method: 'GET', path: '/', headers: [], body: null },
    req: { method: 'GET', rawHeaders: [], headers: {}, url: '/' },
    peer: { address: '127.0.0.1', port: 1 },
    client: { address: '127.0.0.1', scheme: 'http', believed: [] },
    authority: 'shop.example',
    scheme: 'http',
    inform() {},
  }) as unknown as Context & Client

it('an answer that can not be hidden is let go of, with its body', async () => {
  let cancelled = 0
  const body = { pipe() {}, readable: () => expect.fail(), cancel: () => void cancelled++ }
  const handler = anonymity({
    origins: () => {
      throw new Error('no list')
    },
  })(() => ({ status: 200, headers: [], body }))
  await expect((async () => handler(ctx()))()).rejects.toThrow('anonymity.origins threw: no list')
  expect(cancelled).toBe(1)
})

it('a reply that is given many times stays as it is', async () => {
  const reply: Reply = { status: 200, headers: ['Server', 'x', 'X-A', 'app-1.internal'], body: 'x' }
  const handler = anonymity({ origins: ['http://app-1.internal'] })(() => reply)
  for (let i = 0; i < 2; i++)
    expect(await handler(ctx())).toEqual({ status: 200, headers: ['X-A', 'shop.example'], body: 'x' })
  expect(reply.headers).toEqual(['Server', 'x', 'X-A', 'app-1.internal'])
})

it('tell-tales go in a spelling with _ too, unless they are to stay', async () => {
  const headers = ['X_Powered_By', 'x', 'Server_Timing', 'x', 'X_Own', '1']
  const reply: Reply = { status: 200, headers, body: 'x' }
  expect(await anonymity()(() => reply)(ctx())).toMatchObject({ headers: ['X_Own', '1'] })
  const kept = anonymity({ fields: { keep: ['X_Powered_By'] } })(() => reply)
  expect(await kept(ctx())).toMatchObject({ headers: ['X_Powered_By', 'x', 'X_Own', '1'] })
})

it('fields that name files of a target go, which a server between it and us would have taken for its own', async () => {
  const headers = [
    ...['X-Accel-Redirect', '/internal/report.pdf', 'X-Sendfile', '/srv/app/report.pdf'],
    ...['X-LIGHTTPD-send-file', '/srv/app/report.pdf', 'X-Reproxy-URL', 'http://files:7500/1'],
    ...['X-Accel-Buffering', 'no', 'X-Own', '1'],
  ]
  const reply: Reply = { status: 200, headers, body: '' }
  expect(await anonymity()(() => reply)(ctx())).toMatchObject({ headers: ['X-Own', '1'] })
})
