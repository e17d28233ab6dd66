import { ejection } from '@sluice/health'
import { describe, expect, it } from 'vitest'
import {
  deadTarget,
  type Front,
  type FrontKind,
  type FrontOptions,
  fronts,
  originServer,
  owner,
  rawOrigin,
  trapUnhandled,
  until,
} from '../kit/index.js'

trapUnhandled()
const own = owner()

/** `createProxy` ejects by itself; a chain made by hand has it beside it. */
async function ejecting(kind: FrontKind, options: FrontOptions): Promise<Front> {
  const front = own(await kind.start(options))
  if (front.proxy === undefined) {
    const watch = ejection(front.upstream)
    own({ close: () => watch[Symbol.dispose]() })
  }
  return front
}

describe.each(fronts)('ejection through $name', (kind) => {
  it('takes out a target that refuses with the first try, and no request is lost', async () => {
    const dead = own(await deadTarget())
    const well = own(await originServer())
    const front = await ejecting(kind, { targets: [dead.url, well.url] })
    const changes: string[] = []
    front.upstream.on('state', ({ from, to, reason }) => changes.push(`${from} ${to} ${reason}`))
    for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
    expect(changes).toEqual(['unknown ejected a lost connect (connection_refused): out for 1 s'])
  })

  it('takes out a target that resets its connections with the first try', async () => {
    const resetting = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        connection.reset()
      }),
    )
    const well = own(await originServer())
    const front = await ejecting(kind, { targets: [resetting.url, well.url] })
    for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
    expect(front.upstream.all.map(({ state }) => state)).toEqual(['ejected', 'unknown'])
  })

  it('takes out a target that answers 503 five times in a row', async () => {
    const sick = own(await originServer((_req, res) => res.writeHead(503).end()))
    const well = own(await originServer())
    const front = await ejecting(kind, { targets: [sick.url, well.url] })
    const seen: number[] = []
    for (let i = 0; i < 14; i++) seen.push((await front.client.ask()).status)
    expect(seen.filter((status) => status === 503)).toHaveLength(5)
    expect(front.upstream.all.map(({ state }) => state)).toEqual(['ejected', 'unknown'])
  })

  it('leaves one in use that closes a kept connection as a request comes, until it refuses the next', async () => {
    const closing = await rawOrigin(async (connection) => {
      await connection.until('\r\n\r\n')
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      await connection.until('POST ')
      connection.reset()
    })
    own(closing)
    const well = own(await originServer())
    const front = await ejecting(kind, { targets: [closing.url, well.url] })
    const changes: string[] = []
    front.upstream.on('state', ({ to, reason }) => changes.push(`${to} ${reason}`))
    for (let i = 0; i < 2; i++) expect((await front.client.ask()).status).toBe(200)
    const seen: number[] = []
    for (let i = 0; i < 2; i++) seen.push((await front.client.ask({ method: 'POST', body: 'x' })).status)
    // It may have been processed, so it isn't sent again.
    expect(seen.sort()).toEqual([200, 502])
    if (kind.carries.kept) expect(changes).toEqual([])
    else expect(changes).toEqual(['ejected a lost connect (connection_terminated): out for 1 s'])
    if (!kind.carries.kept) return
    await closing.close()
    for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
    expect(changes).toEqual(['ejected a lost connect (connection_refused): out for 1 s'])
  })

  it('holds no client that leaves against a target', async () => {
    const slow = [own(await originServer(() => {})), own(await originServer(() => {}))]
    const front = await ejecting(kind, { targets: slow.map(({ url }) => url) })
    const asked = (): number => slow.reduce((sum, { requests }) => sum + requests.length, 0)
    for (let i = 1; i <= 12; i++) {
      const call = front.client.call()
      call.head.catch(() => {})
      await until(() => asked() === i, 'the request')
      call.abort()
      await until(() => front.inFlight === 0, 'the end of the lease')
    }
    expect(front.upstream.all.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
  })
})
