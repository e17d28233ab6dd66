import dns from 'node:dns'
import { afterEach, expect, it, vi } from 'vitest'
import { ask, targetOf } from '../../../test/kit/attempt.js'
import { http2Origin } from '../../../test/kit/http2-origin.js'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { dial, http2Transport, wireTransport } from './index.js'
import { sharedLookup } from './shared-lookup.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

/** Name servers that answer when the test says so. */
function slowly(): { asked: string[]; answer(error: Error | null): void } {
  const asked: string[] = []
  const waiting: ((error: Error | null, found: unknown) => void)[] = []
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, _options: unknown, callback: never) => {
    asked.push(name)
    waiting.push(callback)
  }) as never)
  return {
    asked,
    answer: (error) => {
      for (const each of waiting.splice(0)) each(error, [{ address: '127.0.0.1', family: 4 }])
    },
  }
}

it('connections to one name are opened with one lookup at a time', async () => {
  const http1 = own(await originServer())
  const http2 = own(await http2Origin((stream) => stream.respond({ ':status': 200 }, { endStream: true })))
  const target = targetOf(`http://app.sluice-test.invalid:${http1.port}`)
  const wire = wireTransport()
  const over2 = http2Transport()
  own({ close: async () => void (await Promise.all([wire.close(true), over2.close(true)])) })
  // Servers look up where they listen, too.
  const { asked, answer } = slowly()
  const all = () => [
    ...Array.from({ length: 5 }, () => ask(wire, target)),
    ask(over2, targetOf(`http://app.sluice-test.invalid:${http2.port}`)),
    dial()(target, new AbortController().signal).then((socket) => void socket.destroy()),
  ]
  const served = Promise.all(all())
  expect(asked).toEqual(['app.sluice-test.invalid'])
  answer(null)
  await served
})

it('what differs is asked apart, and who gets a list gets one of their own', () => {
  const { asked, answer } = slowly()
  const lists: unknown[] = []
  const note = (_error: unknown, found: unknown): void => void lists.push(found)
  sharedLookup('a.invalid', { all: true }, note)
  sharedLookup('a.invalid', { all: true }, note)
  sharedLookup('a.invalid', { all: true, family: 6 }, note)
  sharedLookup('b.invalid', { all: true }, note)
  expect(asked).toEqual(['a.invalid', 'a.invalid', 'b.invalid'])
  answer(null)
  expect(new Set(lists).size).toBe(4)
})

it('a failure is everybody’s who waits, and of nobody who comes later', () => {
  const { answer, asked } = slowly()
  const errors: unknown[] = []
  const note = (error: unknown): void => void errors.push(error)
  for (let i = 0; i < 2; i++) sharedLookup('a.invalid', { all: true }, note)
  const loss = Object.assign(new Error('no answer'), { code: 'EAI_AGAIN' })
  answer(loss)
  sharedLookup('a.invalid', { all: true }, note)
  answer(null)
  expect(errors).toEqual([loss, loss, null])
  expect(asked).toHaveLength(2)
})

it('a lookup that throws leaves nobody waiting behind it', () => {
  vi.spyOn(dns, 'lookup').mockImplementation((() => {
    throw new TypeError('no name')
  }) as never)
  for (let i = 0; i < 2; i++) expect(() => sharedLookup('a.invalid', {}, () => {})).toThrow('no name')
})
