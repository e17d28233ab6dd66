import type { Context } from '@sluice/core'
import { expect, it } from 'vitest'
import { clientEnds } from './client-ends.js'
import { proxyHeader } from './proxy-header.js'

it('a client that is to stay unknown has no address in the PROXY header', () => {
  const ctx = {
    peer: { address: '203.0.113.9', port: 4_000 },
    client: { address: '203.0.113.9' },
    req: { socket: { localAddress: '10.0.0.1', localPort: 80 } },
  }
  const header = (more: object): string =>
    String(proxyHeader(1, clientEnds({ ...ctx, ...more } as unknown as Context)))
  expect(header({})).toBe('PROXY TCP4 203.0.113.9 10.0.0.1 4000 80\r\n')
  for (const clientName of ['', '_abc']) expect(header({ clientName })).toBe('PROXY UNKNOWN\r\n')
})
