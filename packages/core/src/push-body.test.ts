import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Sink } from './body.js'
import { onBodyEnd, PushBody, toReadable } from './index.js'

class Source extends PushBody {
  resumed = 0
  stopped: Error | undefined

  give(text: string): boolean {
    return this.push(Buffer.from(text))
  }
  done(): void {
    this.finish(['x-trailer', '1'])
  }
  lose(error: Error): void {
    this.fail(error)
  }
  protected resume(): void {
    this.resumed++
  }
  protected stop(why: Error): void {
    this.stopped = why
  }
}

class Collector implements Sink {
  text = ''
  ends: string[] = []
  room = true
  drain: (() => void) | undefined
  write(chunk: Uint8Array): boolean {
    this.text += Buffer.from(chunk).toString()
    return this.room
  }
  end(trailers?: string[]): void {
    this.ends.push(`end ${trailers?.join() ?? ''}`)
  }
  abort(error: Error): void {
    this.ends.push(`abort ${error.message}`)
  }
  onDrain(fn: () => void): void {
    this.drain = fn
  }
}

type Step = { do: 'give'; text: string } | { do: 'done' | 'lose' | 'cancel' | 'pipe' | 'block' | 'drain' }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('give' as const), text: fc.string({ minLength: 1, maxLength: 5 }) }),
  fc.constantFrom<Step>(
    { do: 'pipe' },
    { do: 'done' },
    { do: 'lose' },
    { do: 'cancel' },
    { do: 'block' },
    { do: 'drain' },
  ),
)

it('delivers what was pushed, in order, and one end, whatever comes when', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const source = new Source()
      const sink = new Collector()
      const told: (Error | undefined)[] = []
      source.onEnd((error) => told.push(error), undefined)
      let pushed = ''
      let piped = false
      let end: string | undefined
      for (const each of steps) {
        if (each.do === 'give') {
          if (end === undefined) pushed += Buffer.from(each.text).toString()
          source.give(each.text)
        } else if (each.do === 'pipe') {
          // A body that was taken, or dropped, is not to be taken again.
          if (source.taken) expect(() => source.pipe(sink)).toThrow('taken before')
          else {
            source.pipe(sink)
            piped = true
          }
        } else if (each.do === 'block') sink.room = false
        else if (each.do === 'drain') {
          sink.room = true
          sink.drain?.()
        } else {
          const first = end === undefined
          if (each.do === 'done') source.done()
          else if (each.do === 'lose') source.lose(new Error('lost'))
          else source.cancel(new Error('dropped'))
          if (first) end = { done: 'end x-trailer,1', lose: 'abort lost', cancel: 'abort dropped' }[each.do]
        }
      }
      if (piped) {
        expect(sink.text).toBe(pushed)
        expect(sink.ends).toEqual(end === undefined ? [] : [end])
      }
      expect(told.length).toBe(end === undefined ? 0 : 1)
    }),
  )
})

it('asks its source to wait when nobody takes what it holds, and to go on when somebody does', () => {
  const source = new Source()
  while (source.give('x'.repeat(10_000)));
  expect(source.resumed).toBe(0)
  const sink = new Collector()
  source.pipe(sink)
  expect(sink.text.length).toBeGreaterThanOrEqual(64 * 1024)
  expect(source.resumed).toBe(1)
})

it('stays asleep while the sink is full, also if it was full of what was held', () => {
  const source = new Source()
  source.give('held')
  const sink = new Collector()
  sink.room = false
  source.pipe(sink)
  expect(source.resumed).toBe(0)
  sink.drain?.()
  expect(source.resumed).toBe(1)
})

it('as a stream gives the bytes, its error, and stops its source when destroyed', async () => {
  const source = new Source()
  source.give('one')
  const readable = toReadable(source)
  const texts: string[] = []
  readable.on('data', (chunk) => texts.push(String(chunk)))
  await new Promise((resolve) => setImmediate(resolve))
  source.give('two')
  source.done()
  await new Promise((resolve) => readable.on('end', resolve))
  expect(texts.join('')).toBe('onetwo')

  const other = new Source()
  const broken = toReadable(other)
  broken.resume()
  const failed = new Promise<Error>((resolve) => broken.on('error', resolve))
  await new Promise((resolve) => setImmediate(resolve))
  other.lose(new Error('lost'))
  expect((await failed).message).toBe('lost')

  const third = new Source()
  toReadable(third).destroy()
  await new Promise((resolve) => setImmediate(resolve))
  expect(third.stopped).toBeInstanceOf(Error)
})

it('a stream taken from a body that was cancelled since hears of it', async () => {
  const source = new Source()
  const readable = toReadable(source)
  const failed = new Promise<Error>((resolve) => readable.on('error', resolve))
  source.cancel(new Error('dropped'))
  readable.resume()
  expect((await failed).message).toBe('dropped')
})

it('onBodyEnd tells of bodies that cannot tell by themselves', async () => {
  const foreign = {
    pipe() {},
    readable: () => toReadable('text'),
    cancel() {},
  }
  const reply = { status: 200, headers: [], body: foreign }
  let ended = false
  onBodyEnd(reply, () => (ended = true), undefined)
  expect(ended).toBe(false)
  for await (const chunk of toReadable(reply.body)) expect(String(chunk)).toBe('text')
  expect(ended).toBe(true)
})
