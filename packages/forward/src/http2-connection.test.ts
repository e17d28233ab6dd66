import { EventEmitter } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { ProxyError, type ProxyErrorCode } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { ask, send, targetOf } from '../../../test/kit/attempt.js'
import { http2Origin } from '../../../test/kit/http2-origin.js'
import { owner } from '../../../test/kit/owner.js'
import { relayTo } from '../../../test/kit/relay.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { within } from '../../../test/kit/until.js'
import { Deadlines } from './deadlines.js'
import { Http2Connection } from './http2-connection.js'
import { http2Transport } from './index.js'

trapUnhandled()
const own = owner()

describe('a connection over which nothing comes any more', () => {
  it('is not used after the request that has found out', async () => {
    const origin = own(await http2Origin())
    const relay = own(await relayTo(origin.port))
    const transport = http2Transport()
    own({ close: () => transport.close(true) })
    const target = targetOf(`http://127.0.0.1:${relay.port}`)
    expect(await ask(transport, target)).toBe('ok')
    relay.strand()
    await expect(send(transport, target, {}, { head: '50ms' })).rejects.toMatchObject({
      code: 'http_response_timeout',
    })
    expect(await ask(transport, target)).toBe('ok')
    expect(origin.connections).toBe(2)
    await within(transport.close(), 'the end of both')
  })
})

it('a target that has said something, and is only slow, keeps its connection', async () => {
  const origin = own(
    await http2Origin((stream, { fields }) => {
      if (fields[':path'] === '/slow') stream.additionalHeaders({ ':status': 103 })
      else {
        stream.respond({ ':status': 200 })
        stream.end('ok')
      }
    }),
  )
  const transport = http2Transport()
  own({ close: () => transport.close(true) })
  const target = targetOf(origin.url)
  await expect(send(transport, target, { path: '/slow' }, { head: '50ms' })).rejects.toMatchObject({
    code: 'http_response_timeout',
  })
  expect(await ask(transport, target)).toBe('ok')
  expect(origin.connections).toBe(1)
})

describe('a request without an answer', () => {
  /** A connection with a request on it, as time goes. */
  function asked() {
    let now = 0
    const session = Object.assign(new EventEmitter(), {
      remoteSettings: {},
      request: () => new EventEmitter(),
      ...{ ref() {}, unref() {}, close() {} },
    }) as unknown as ClientHttp2Session
    const socket = new EventEmitter() as Socket
    const deadlines = new Deadlines(() => now)
    own({ close: () => deadlines.close() })
    const limits = { streams: 0, idle: 0, ping: 0 }
    const connection = new Http2Connection(session, socket, { deadlines, hasRoom() {}, gone() {} }, limits)
    const stream: ClientHttp2Stream = connection.open({}, {})
    const wait = (ms: number): void => {
      now += ms
    }
    return { connection, stream, wait }
  }

  it.each<[ProxyErrorCode, number, boolean]>([
    ['http_response_timeout', 10, false],
    ['connection_write_timeout', 10, false],
    ['total_timeout', 10, false],
    ['client_left', 4_999, true],
    ['client_left', 5_000, false],
    ['http_response_header_section_size', 60_000, true],
    ['proxy_closing', 60_000, true],
  ])('leaves its connection usable or not: %s after %i ms: %s', (code, ms, usable) => {
    const { connection, stream, wait } = asked()
    wait(ms)
    connection.unanswered(stream, new ProxyError(code))
    expect(connection.usable).toBe(usable)
  })

  it('says nothing of a connection on which another was answered meanwhile, nor does an error that is none of ours', () => {
    const { connection, stream, wait } = asked()
    wait(60_000)
    connection.unanswered(stream, new Error('reset'))
    expect(connection.usable).toBe(true)
    connection.served++
    connection.unanswered(stream, new ProxyError('http_response_timeout'))
    expect(connection.usable).toBe(true)
  })
})
