import { PushBody, type Sink } from '@sluice/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bodyBuffer } from './body-buffer.js'
import { BufferedBody } from './buffered-body.js'

/** A source that a test pushes by hand, unless it is asked to wait. */
class Source extends PushBody {
  stopped = false
  give = (part: Uint8Array): boolean => this.push(part)
  close = (trailers?: string[]): void => this.finish(trailers)
  lose = (error: Error): void => this.fail(error)
  protected resume(): void {}
  protected stop(): void {
    this.stopped = true
  }
}

/** What comes of a body, and how it ends. */
function taking(): { sink: Sink; got: Uint8Array[]; end: () => unknown } {
  const got: Uint8Array[] = []
  let end: unknown
  const sink: Sink = {
    write: (part) => got.push(Buffer.from(part)) > 0,
    end: (trailers) => {
      end = trailers ?? 'whole'
    },
    abort: (error) => {
      end = error
    },
    onDrain: () => {},
  }
  return { sink, got, end: () => end }
}

const parts = fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 30 })

it('is there when it is whole or as large as asked, and not before, with every byte in its order', async () => {
  await fc.assert(
    fc.asyncProperty(parts, fc.integer({ min: 1, max: 20_000 }), fc.boolean(), async (all, most, ends) => {
      const source = new Source()
      const body = new BufferedBody(source, most)
      let there = false
      const filled = body.fill().then(() => {
        there = true
      })
      let size = 0
      for (const part of all) {
        source.give(part)
        size += part.length
        await Promise.resolve()
        await Promise.resolve()
        expect(there).toBe(size >= most)
      }
      if (ends || size < most) source.close()
      await filled
      if (size < most) expect(body.length).toBe(size)
      const { end, got, sink } = taking()
      body.pipe(sink)
      if (!ends && size >= most) source.close()
      expect(end()).toBe('whole')
      expect(Buffer.concat(got).equals(Buffer.concat(all))).toBe(true)
      // Of one that is whole there is one part.
      if (size > 0 && size < most) expect(got).toHaveLength(1)
    }),
  )
})

it('holds what it was asked to wait for, and then no more than any body', () => {
  const source = new Source()
  const body = new BufferedBody(source, 100_000)
  const filled = body.fill()
  const part = new Uint8Array(30_000)
  expect([source.give(part), source.give(part), source.give(part), source.give(part)]).toEqual([
    true,
    true,
    true,
    false,
  ])
  return filled
})

it('keeps what it has, whatever becomes of the parts that it was given', async () => {
  const source = new Source()
  const body = new BufferedBody(source, 1_000)
  const filled = body.fill()
  const part = Buffer.from('once ')
  source.give(part)
  source.give(part)
  part.fill('x')
  source.close()
  await filled
  const { got, sink } = taking()
  body.pipe(sink)
  expect(String(Buffer.concat(got))).toBe('once once ')
})

it('has no length behind trailers, which need chunks', async () => {
  const source = new Source()
  const body = new BufferedBody(source, 1_000)
  const filled = body.fill()
  source.give(Buffer.from('a'))
  source.close(['X-Sum', '1'])
  await filled
  expect(body.length).toBeUndefined()
  const { end, sink } = taking()
  body.pipe(sink)
  expect(end()).toEqual(['X-Sum', '1'])
})

it('fails as its source does, and stops it when nobody wants it', async () => {
  const source = new Source()
  const body = new BufferedBody(source, 1_000)
  const filled = body.fill()
  source.give(Buffer.from('a'))
  source.lose(new Error('gone'))
  await expect(filled).rejects.toThrow('gone')

  const other = new Source()
  const unwanted = new BufferedBody(other, 1_000)
  const waiting = unwanted.fill()
  unwanted.cancel(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  expect(other.stopped).toBe(true)
})

it.each<[unknown, RegExp]>([
  ['1 mb', /^bodyBuffer: got '1 mb', takes bytes or a text such as/],
  [-1, /^bodyBuffer: got -1/],
  [undefined, /^bodyBuffer: got (nothing|undefined)/],
])('%j is no size', (given, says) => {
  expect(() => bodyBuffer(given as number)).toThrow(says)
  expect(() => bodyBuffer(given as number, 'guard.bodyBuffer')).toThrow(/^guard\.bodyBuffer: /)
})
