import { once } from 'node:events'
import { type ClientHttp2Stream, connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { deferred, within } from '../../../test/kit/until.js'
import { afterReads } from './after-reads.js'
import { cancelStream } from './http2-stream-end.js'

const own = owner()

describe('with the fake timers of an app’s tests', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setImmediate'] }))
  afterEach(() => void vi.useRealTimers())

  it('what waits for the reads of a turn is called', async () => {
    const called = deferred()
    afterReads(() => called.resolve())
    await within(called.promise, 'the reads of a turn')
  })

  it('a stream that nobody wants is reset', async () => {
    const server = createServer().on('stream', (stream) => stream.on('error', () => {}))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    own({
      close: () => {
        session.destroy()
        server.close()
      },
    })
    const stream: ClientHttp2Stream = session.request({ ':path': '/' })
    await once(session, 'connect')
    const closed = once(stream, 'close')
    cancelStream(stream)
    await within(closed, 'the end of the stream')
    expect(stream.rstCode).toBe(8)
  })
})
