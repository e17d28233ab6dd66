import { createServer } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import { describe, expect, it } from 'vitest'
import { harden } from './harden.js'
import { serverOptions } from './server-options.js'

describe('serverOptions', () => {
  it('are what servers take', () => {
    const options = serverOptions({ head: '2s', request: '1m', maxHeaderSize: '32kb', streams: 7 })
    const server = createServer(options)
    expect(server).toMatchObject({ headersTimeout: 2_000, requestTimeout: 60_000, keepAliveTimeout: 5_000 })
    expect(() => createHttp2(options)).not.toThrow()
    expect(options.settings.maxConcurrentStreams).toBe(7)
  })

  it('have a window within what HTTP/2 allows', () => {
    expect(serverOptions().settings.initialWindowSize).toBe(262_144)
    expect(() => createHttp2(serverOptions({ window: 2 ** 31 - 1 }))).not.toThrow()
    for (const window of [0, 65_534, 2 ** 31])
      expect(() => serverOptions({ window })).toThrow(
        `server.window: got ${window}, takes '64kb' to less than '2gb'`,
      )
  })

  it('never have a longer limit for heads than for requests, which Node refuses', () => {
    expect(serverOptions({ head: '2s', request: '1s' }).headersTimeout).toBe(1_000)
    expect(() => createServer(serverOptions({ head: '2s', request: '1s' }))).not.toThrow()
  })

  it('let nobody have a good deal more than a limit', () => {
    expect(serverOptions({ head: 100 }).connectionsCheckingInterval).toBe(25)
    expect(serverOptions().connectionsCheckingInterval).toBe(5_000)
    expect(serverOptions({ head: 0 }).connectionsCheckingInterval).toBe(5_000)
  })

  it('that are wrong are told by name, all at once', () => {
    expect(() => serverOptions({ head: 'x' as never, streams: 0 }, 'guard.server')).toThrow(
      /guard\.server\.head: got 'x'[\s\S]*guard\.server\.streams: got 0/,
    )
    expect(() => harden(createServer(), { slow: { minRate: -1, graces: 1 } as never })).toThrow(
      /harden\.slow/,
    )
    expect(() => harden(createServer(), { slow: true as never })).toThrow(
      /harden\.slow: got true, takes false/,
    )
    expect(() => harden({} as never)).toThrow('harden: takes a server of node:http, https or http2')
  })
})
