import type { Context, Reply } from '@sluice/core'
import { createUpstream, type Selected, type Target } from '@sluice/upstream'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { readDeclaration } from './declaration.js'
import { type DeclaredOptions, declared } from './index.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function believing(
  options: DeclaredOptions = {},
  urls = ['http://a', 'http://b'],
  clock = () => performance.now(),
) {
  const upstream = createUpstream({ name: 'x', targets: urls }, 'upstream', clock)
  const changes: string[] = []
  upstream.on('state', ({ target, from, to, reason }) =>
    changes.push(`${target.id.slice(7)} ${from} ${to}: ${reason}`),
  )
  let reply: Reply = { status: 200, headers: [], body: null }
  const handler = declared(upstream, options)<Context & Selected>(() => reply)
  return {
    upstream,
    changes,
    /** The answer of a target, as it goes on. */
    async answer(target: Target | undefined, headers: string[], status = 200): Promise<Reply> {
      reply = { status, headers, body: null }
      return handler({ target } as Context & Selected)
    },
  }
}

it('believes a target for a while, longer with each answer that says it again', async () => {
  const { upstream, changes, answer } = believing()
  const [a] = upstream.all
  await answer(a, ['X-Health', 'draining'])
  vi.advanceTimersByTime(20_000)
  await answer(a, ['x-health', 'draining'])
  vi.advanceTimersByTime(29_999)
  expect(changes).toEqual(['a unknown draining: says that it is draining'])
  vi.advanceTimersByTime(1)
  expect(changes[1]).toBe('a draining unknown: has said nothing more of draining')
  expect(vi.getTimerCount()).toBe(0)
})

it.each([-3_600_000, -10_000, 3_600_000])(
  'holds a word twice as long at most when the clock jumps by %d ms',
  async (jump) => {
    let off = 0
    const { upstream, answer } = believing({}, undefined, () => performance.now() + off)
    await answer(upstream.all[0], ['X-Health', 'draining'])
    vi.advanceTimersByTime(5_000)
    off = jump
    vi.advanceTimersByTime(24_999)
    expect(upstream.all[0]?.state).toBe('draining')
    vi.advanceTimersByTime(30_001)
    expect([upstream.all[0]?.state, vi.getTimerCount()]).toEqual(['unknown', 0])
  },
)

it('ends with an answer that says ok, and not with one that says nothing', async () => {
  const { upstream, changes, answer } = believing({ for: '1m' })
  const [a] = upstream.all
  await answer(a, ['X-Health', 'degraded'])
  await answer(a, [])
  await answer(a, ['X-Health', 'fine'])
  expect(changes).toEqual(['a unknown degraded: says that it is degraded'])
  await answer(a, ['X-Health', 'ok'])
  expect(changes[1]).toBe('a degraded unknown: says that all is well')
  expect(vi.getTimerCount()).toBe(0)
})

it('strips the field from every reply, an upgrade and nonsense included, and touches no other', async () => {
  const { upstream, answer } = believing({ header: 'X-State' })
  const [a] = upstream.all
  const fields = ['x-state', 'draining', 'A', '1', 'X-State', 'ok', 'X-Health', 'ok']
  expect((await answer(a, [...fields], 101)).headers).toEqual(['A', '1', 'X-Health', 'ok'])
  expect((await answer(a, ['X-State', '???'])).headers).toEqual([])
})

it('leaves what a person has drained or degraded', async () => {
  const { upstream, changes, answer } = believing()
  const [a] = upstream.all as [Target]
  upstream.drain('http://a')
  await answer(a, ['X-Health', 'draining'])
  await answer(a, ['X-Health', 'ok'])
  expect(a.state).toBe('draining')
  upstream.undrain('http://a')
  upstream.degrade(a, true, 'by hand')
  changes.length = 0
  await answer(a, ['X-Health', 'degraded'])
  await answer(a, ['X-Health', 'ok'])
  expect([changes, a.degraded]).toEqual([[], true])
  // Nor is a target back that still says it, when the person is done.
  await answer(a, ['X-Health', 'draining'])
  upstream.drain('http://a')
  upstream.undrain('http://a')
  expect(a.state).toBe('draining')
})

it('never drains the last target that is fit, until there is another', async () => {
  const { upstream, changes, answer } = believing()
  const [a, b] = upstream.all as [Target, Target]
  upstream.mark(b, 'unhealthy', 'probe')
  changes.length = 0
  await answer(a, ['X-Health', 'draining'])
  upstream.mark(b, 'healthy', 'probe')
  await answer(a, ['X-Health', 'draining'])
  expect(changes).toEqual([
    'a unknown degraded: says that it is draining, and no other target is fit',
    'b unhealthy healthy: probe',
    'a degraded draining: says that it is draining',
  ])
  await answer(a, ['X-Health', 'ok'])
  expect([a.state, a.degraded]).toEqual(['unknown', false])
})

it('uses one that drains by its own word when the others fail, as long as they do', async () => {
  const { upstream, changes, answer } = believing({}, ['http://a', 'http://b', 'http://c'])
  const [a, b, c] = upstream.all as [Target, Target, Target]
  await answer(a, ['X-Health', 'draining'])
  upstream.drain('http://c')
  changes.length = 0
  upstream.mark(b, 'unhealthy', 'probe')
  expect(upstream.available).toEqual([a])
  upstream.mark(b, 'healthy', 'probe')
  expect(upstream.available).toEqual([b])
  expect(changes).toEqual([
    'b unknown unhealthy: probe',
    'a draining degraded: says that it is draining, and no other target is fit',
    'b unhealthy healthy: probe',
    'a degraded draining: says that it is draining',
  ])
  await answer(a, ['X-Health', 'ok'])
  expect([a.state, a.degraded, c.state]).toEqual(['unknown', false, 'draining'])
})

it('holds nothing against a new target of the same name, nor believes one that has left', async () => {
  const { upstream, answer } = believing()
  const [a] = upstream.all
  await answer(a, ['X-Health', 'draining'])
  upstream.replace(['http://b'])
  upstream.replace(['http://a', 'http://b'])
  const next = upstream.all[0]
  expect(vi.getTimerCount()).toBe(0)
  expect([next === a, next?.state]).toEqual([false, 'unknown'])
  await answer(a, ['X-Health', 'draining'])
  expect(next?.state).toBe('unknown')
  await answer(next, ['X-Health', 'draining'])
  vi.advanceTimersByTime(29_000)
  await answer(next, ['X-Health', 'draining'])
  // The time of the old one is over; what the new one says holds.
  vi.advanceTimersByTime(2_000)
  expect(next?.state).toBe('draining')
})

it('holds nothing against a target that takes the id of one that would drain', async () => {
  const { upstream, answer } = believing({}, ['http://a'])
  await answer(upstream.all[0], ['X-Health', 'draining'])
  expect(upstream.all[0]?.degraded).toBe(true)
  upstream.replace([{ url: 'http://c', id: 'http://a' }, 'http://b'])
  expect(upstream.all.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
})

it.each([
  ['ok', 'ok'],
  [' DRAINING ', 'draining'],
  ['degraded; load=1', 'degraded'],
  ['', undefined],
  ['draining, ok', undefined],
  [undefined, undefined],
])('reads %j as %s', (value, expected) => {
  expect(readDeclaration(value)).toBe(expected)
})

it.each([
  [{ header: 'a b' }, 'declared.header'],
  [{ for: 0 }, 'declared.for'],
  [{ until: 1 }, 'declared.until: unknown option'],
])('refuses %j', (given, says) => {
  expect(() => declared(createUpstream({ name: 'x', targets: ['http://a'] }), given as never)).toThrow(says)
})
