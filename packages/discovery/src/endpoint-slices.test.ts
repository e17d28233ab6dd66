import fc from 'fast-check'
import { expect, it } from 'vitest'
import { urlOf } from './discovery-options.js'
import { type EndpointSlice, EndpointSlices } from './endpoint-slices.js'
import { WatchEvents } from './watch-events.js'

const settings = { path: '' }
const condition = fc.constantFrom(true, false, null, undefined)
const slice = fc.record({
  metadata: fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'ü'),
    resourceVersion: fc.nat().map(String),
  }),
  addressType: fc.constantFrom('IPv4', 'IPv6'),
  ports: fc.constantFrom(
    null,
    [],
    [{ port: 80 }],
    [
      { name: 'x', port: 1 },
      { name: 'y', port: 2 },
    ],
  ),
  endpoints: fc.option(
    fc.array(
      fc.record({
        addresses: fc.constantFrom(['10.0.0.1'], ['10.0.0.2'], ['::1'], [], ['x y']),
        conditions: fc.option(fc.record({ ready: condition, serving: condition, terminating: condition })),
        zone: fc.constantFrom('eu', '', null, undefined),
      }),
      { maxLength: 3 },
    ),
  ),
})
const event = fc.record({
  type: fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'),
  object: slice as fc.Arbitrary<EndpointSlice>,
})

/** What stands at the end, slices that were put last behind the others, as a list would not have it. */
function ends(events: readonly { type: string; object: EndpointSlice }[]): EndpointSlice[] {
  const now = new Map<string, EndpointSlice>()
  for (const { type, object } of events) {
    if (type === 'DELETED') now.delete(object.metadata?.name ?? '')
    else if (type !== 'BOOKMARK') now.set(object.metadata?.name ?? '', object)
  }
  return [...now.values()]
}

it('comes to the same by events, in pieces of any size, as by a list of what there is at the end', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), fc.array(fc.nat(300)), (events, cuts) => {
      const listed = new EndpointSlices()
      listed.reset(ends(events))
      const watched = new EndpointSlices()
      const watch = new WatchEvents(watched, '0')
      let text = events.map((each) => `${JSON.stringify(each)}\n`).join('')
      for (const cut of cuts) {
        watch.take(text.slice(0, cut))
        text = text.slice(cut)
      }
      watch.take(text)
      expect(watch.count).toBe(events.length)
      expect(watch.version).toBe(events.at(-1)?.object.metadata?.resourceVersion ?? '0')
      expect(watched.targets(settings)).toEqual(listed.targets(settings))
    }),
  )
})

it('makes no URL of a host but one that has that host, that port and that path', () => {
  const host = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.ipV4(),
    fc.ipV6(),
    fc.domain(),
    fc.stringMatching(/^[a-z0-9.:@/?#%[\]\\-]{1,12}$/),
  )
  fc.assert(
    fc.property(host, fc.integer({ min: -1, max: 65_536 }), (name, port) => {
      const made = urlOf('http', name, port, '/base')
      if (made === undefined) return
      const url = new URL(made)
      expect([url.username, url.password, url.search, url.hash, url.pathname]).toEqual([
        '',
        '',
        '',
        '',
        '/base',
      ])
      expect(Number(url.port || 80)).toBe(port)
      expect(url.host).not.toMatch(/[@/\\?#%]/)
    }),
    { numRuns: 1_000 },
  )
})
