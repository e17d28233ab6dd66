import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { mounts } from '../kit/mounts.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const origins = (names: readonly string[]): Promise<Origin[]> =>
  Promise.all(names.map(async (name) => own(await originServer((_req, res) => void res.end(name)))))

describe.each(mounts.map((mount) => ({ name: mount.name, mount })))('over $name', ({ mount }) => {
  it('some targets of the own zone serve, then its others, then those of other zones; nothing is lost', async () => {
    const [eu1, eu2, us] = (await origins(['eu1', 'eu2', 'us'])) as [Origin, Origin, Origin]
    const zones = { eu: [eu1, eu2], us: [us] }
    const targets = Object.entries(zones).flatMap(([zone, list]) => list.map(({ url }) => ({ url, zone })))
    const proxy = own(
      createProxy({
        upstreams: {
          a: { targets, preferZone: 'eu', subset: { size: 1, seed: 0 }, retry: { attempts: 3 } },
        },
      }),
    )
    const { client } = own(await mount.serve(proxy))
    const ask = async (times: number): Promise<string[]> => {
      const seen = new Set<string>()
      for (let i = 0; i < times; i++) {
        const answer = await client.ask()
        expect(answer.status).toBe(200)
        seen.add(answer.text)
      }
      return [...seen]
    }
    const [home] = (await ask(6)) as [string]
    expect(['eu1', 'eu2']).toContain(home)
    expect(await ask(6)).toEqual([home])

    const [first, second] = home === 'eu1' ? [eu1, eu2] : [eu2, eu1]
    await first.close()
    // Its connections are gone and new ones refused: what was on its way is tried again, by others of the zone.
    expect(await ask(6)).toEqual([home === 'eu1' ? 'eu2' : 'eu1'])
    await second.close()
    expect(await ask(6)).toEqual(['us'])
    const upstream = proxy.upstreams.get('a')
    await until(() => upstream?.all.every(({ inFlight }) => inFlight === 0), 'every lease to end')
  })

  it('a target that joins gets a tenth of its share at first', async () => {
    const [a, b] = (await origins(['old', 'new'])) as [Origin, Origin]
    const proxy = own(
      createProxy({
        upstreams: { a: { targets: [a.url], balance: 'weighted-round-robin', slowStart: '1h' } },
      }),
    )
    const { client } = own(await mount.serve(proxy))
    proxy.upstreams.get('a')?.replace([a.url, b.url])
    for (let i = 0; i < 33; i++) expect((await client.ask()).status).toBe(200)
    expect([a.requests.length, b.requests.length]).toEqual([30, 3])
  })
})
