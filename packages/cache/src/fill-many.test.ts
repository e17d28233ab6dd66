import { type Body, PushBody, type Sink } from '@sluice/core'
import { expect, it } from 'vitest'
import { heapInUse } from '../../../test/kit/heap.js'
import { Fill } from './fill.js'

class Source extends PushBody {
  stopped = false
  give(chunk: Uint8Array): boolean {
    return this.push(chunk)
  }
  done(): void {
    this.finish()
  }
  protected resume(): void {}
  protected stop(): void {
    this.stopped = true
  }
}

/** Counts what it gets. A slow one asks to wait each time. */
class Counter implements Sink {
  size = 0
  sum = 0
  ended = false
  private hear: () => void = () => {}
  constructor(
    body: Body,
    private readonly slow: boolean,
  ) {
    body.pipe(this)
  }
  write(chunk: Uint8Array): boolean {
    this.size += chunk.length
    // Each part is of one and the same byte.
    this.sum += chunk.length * (chunk[0] as number)
    return !this.slow
  }
  end(): void {
    this.ended = true
  }
  abort(): void {}
  onDrain(fn: () => void): void {
    this.hear = fn
  }
  drain(): void {
    this.hear()
  }
}

const parts = Array.from({ length: 20 }, (_, i) => Buffer.alloc(1_000, i + 1))
const whole = parts.reduce((sum, part) => sum + part.length * (part[0] as number), 0)

/** All in one function that has returned by the time the heap is looked at: one that waits for that may hold what it had last. */
function serve(): { fill: Fill; refs: WeakRef<Body>[] } {
  const source = new Source()
  let stored = 0
  const fill = new Fill(
    source,
    {
      write: (chunk) => {
        stored += chunk.length
        return true
      },
      commit() {},
      abort() {},
    },
    { keep: 1_000_000 },
  )
  const refs: WeakRef<Body>[] = []
  const staying: Counter[] = []
  const leaving: Body[] = []
  fill.start()
  parts.forEach((part, round) => {
    for (let i = 0; i < 500; i++) {
      const body = fill.reader()
      refs.push(new WeakRef(body))
      const counter = new Counter(body, i % 3 === 0)
      if (i % 2 === 0) staying.push(counter)
      else leaving.push(body)
    }
    expect(source.give(part)).toBe(true)
    // Half of those who are to leave do so now, from the middle of the list on.
    for (const body of leaving.splice(leaving.length >> 1)) body.cancel()
    for (let i = round; i < staying.length; i += 7) staying[i]?.drain()
  })
  for (const body of leaving.splice(0)) body.cancel()
  expect([fill.reading, source.stopped]).toEqual([5_000, false])
  source.done()
  expect([stored, fill.kept, fill.joinable]).toEqual([20_000, 0, false])
  for (let i = 0; i < parts.length; i++) for (const counter of staying) counter.drain()
  expect(staying.every(({ size, sum, ended }) => ended && size === 20_000 && sum === whole)).toBe(true)
  expect(fill.reading).toBe(0)
  return { fill, refs }
}

it('serves 10,000 readers that come and leave, each at its own pace, from one source, and keeps none', async () => {
  const { fill, refs } = serve()
  expect(refs.length).toBe(10_000)
  await heapInUse()
  expect(fill.reading).toBe(0)
  expect(refs.filter((ref) => ref.deref() !== undefined).length).toBe(0)
})

it('lets go of what every reader has had, once nobody can join', async () => {
  const source = new Source()
  const fill = new Fill(source, undefined, { keep: 1_000_000 })
  const quick = new Counter(fill.reader(), false)
  const slow = new Counter(fill.reader(), true)
  fill.start()
  // By a function: this one would go on to hold the last.
  const refs = Array.from({ length: 10 }, () => {
    const part = new Uint8Array(10_000)
    source.give(part)
    return new WeakRef(part)
  })
  const alive = (): string => refs.map((ref) => (ref.deref() === undefined ? '-' : '#')).join('')
  await heapInUse()
  expect(alive()).toBe('##########')
  source.done()
  for (let i = 0; i < 4; i++) slow.drain()
  await heapInUse()
  // Five it has had; the last of them is its place.
  expect(alive()).toBe('----######')
  for (let i = 0; i < 5; i++) slow.drain()
  await heapInUse()
  expect([alive(), quick.ended, slow.ended, fill.reading]).toEqual(['----------', true, true, 0])
})
