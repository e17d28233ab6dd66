import type { ServerHttp2Session } from 'node:http2'
import { type Sink, toBody } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { ask, send, targetOf } from '../../../test/kit/attempt.js'
import { testCertificate } from '../../../test/kit/certificate.js'
import { type Http2Origin, http2Origin } from '../../../test/kit/http2-origin.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until, within } from '../../../test/kit/until.js'
import { type Http2TransportOptions, http2Transport, type Transport } from './index.js'

trapUnhandled()
const own = owner()

const kb = 1024
/** A frame of this size goes out as a whole or waits for the window. */
const part = 16 * kb

function transportOf(options?: Http2TransportOptions): Transport {
  const transport = http2Transport(options)
  own({ close: () => transport.close(true) })
  return transport
}

/** A target whose answer is as large as it says, and how much of it could be sent so far. */
async function largeOrigin(size: number, tls: boolean) {
  let sent = 0
  const origin = own(
    await http2Origin(
      (stream) => {
        stream.respond({ ':status': 200 })
        // One after the other: Node tells of writes that wait together when the last of them has gone.
        const next = (): void => {
          if (sent === size) return void stream.end()
          stream.write(Buffer.alloc(part), (error) => {
            if (error) return
            sent += part
            next()
          })
        }
        next()
      },
      { tls },
    ),
  )
  return { origin, sent: () => sent }
}

/** Waits until what is on its way has come, and what is said to it. */
async function settled({ sessions }: Http2Origin, sent: () => number): Promise<number> {
  const [session] = sessions as Set<ServerHttp2Session>
  for (let before = -1; before !== sent(); ) {
    before = sent()
    for (let i = 0; i < 5; i++)
      await within(new Promise<void>((resolve) => void session?.ping(() => resolve())), 'a pong')
  }
  return sent()
}

/** A client that takes so much and no more, until it takes all. */
class SlowSink implements Sink {
  taken = 0
  ended = false
  private drained: (() => void) | undefined = undefined

  constructor(private atMost: number) {}

  write(chunk: Uint8Array): boolean {
    this.taken += chunk.length
    return this.taken < this.atMost
  }

  end(): void {
    this.ended = true
  }

  abort(): void {}

  onDrain(fn: () => void): void {
    this.drained = fn
  }

  takeAll(): void {
    this.atMost = Number.POSITIVE_INFINITY
    this.drained?.()
  }
}

describe.each([
  ['without TLS', false],
  ['with TLS', true],
])('what a target may send ahead, %s', (_kind, tls) => {
  it
    .skipIf(tls && testCertificate() === undefined)
    .each<[string, Http2TransportOptions | undefined, number]>([
      ['256 KB by default', undefined, 256 * kb],
      ['as much as `window` says', { window: '1mb' }, 1024 * kb],
    ])('is %s, and grows as its client takes', async (_what, options, window) => {
    const size = 8 * window
    const { origin, sent } = await largeOrigin(size, tls)
    const target = targetOf(tls ? { url: origin.url, tls: { verify: false } } : origin.url)
    const { body } = await send(transportOf(options), target)
    await until(() => sent() >= window, 'a whole window')
    expect(await settled(origin, sent)).toBe(window)

    const sink = new SlowSink(2 * window)
    toBody(body)?.pipe(sink)
    await until(() => sink.taken >= 2 * window, 'the first two windows')
    const ahead = (await settled(origin, sent)) - sink.taken
    expect(ahead).toBeGreaterThan(0)
    // Beside the window there is what Node has read and not yet given.
    expect(ahead).toBeLessThanOrEqual(window + 4 * part)

    sink.takeAll()
    await until(() => sink.ended, 'the end')
    expect(sink.taken).toBe(size)
  })
})

it.each<[Http2TransportOptions, number, number]>([
  [{}, 256 * kb, 4096 * kb],
  [{ window: '64kb' }, 64 * kb, 1024 * kb],
  [{ window: 2 ** 31 - 1 }, 2 ** 31 - 1, 2 ** 31 - 1],
])(
  'a connection has room for 16 streams, and no more than HTTP/2 allows: %j',
  async (options, ofStream, ofAll) => {
    const origin = own(await http2Origin())
    expect(await ask(transportOf(options), targetOf(origin.url))).toBe('ok')
    const [session] = origin.sessions
    expect(session?.remoteSettings.initialWindowSize).toBe(ofStream)
    // Of the answer not all may have been given back.
    await until(() => (session?.state.remoteWindowSize ?? 0) >= ofAll - 2, 'the window of the connection')
    expect(session?.state.remoteWindowSize).toBeLessThanOrEqual(ofAll)
  },
)

it('a window has to be one that HTTP/2 allows', () => {
  for (const window of [0, 65_534, 2 ** 31])
    expect(() => http2Transport({ window })).toThrow(
      `http2Transport.window: got ${window}, takes '64kb' to less than '2gb'`,
    )
  expect(() => http2Transport({ window: 'large' as never })).toThrow('http2Transport.window')
})
