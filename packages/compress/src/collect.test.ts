import { type Body, PushBody, toBody, toReadable } from '@sluice/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { collect } from './collect.js'

trapUnhandled()

class Source extends PushBody {
  stopped: Error | undefined
  give(text: string): void {
    this.push(Buffer.from(text))
  }
  done(trailers?: string[]): void {
    this.finish(trailers)
  }
  lose(error: Error): void {
    this.fail(error)
  }
  protected resume(): void {}
  protected stop(why: Error): void {
    this.stopped = why
  }
}

async function textOf(got: Uint8Array | Body): Promise<string> {
  let text = ''
  for await (const part of toReadable(got)) text += part
  return text
}

it('gives at once what is there, without a copy where it is one part', () => {
  const bytes = Buffer.from('text')
  expect(collect(toBody(bytes) as Body, 4)).toBe(bytes)
  expect(collect(toBody('') as Body, 0)).toEqual(new Uint8Array(0))
  const source = new Source()
  source.give('te')
  source.give('xt')
  source.done()
  expect(String(collect(source, 4))).toBe('text')
})

it('gives what comes, in any parts, as bytes or, after 2 ms, as a body', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 5 }), { maxLength: 6 }),
      fc.nat(6),
      fc.nat(6),
      fc.boolean(),
      async (parts, before, late, trailed) => {
        const time = fakeTime()
        const source = new Source()
        const text = parts.join('')
        for (const part of parts.slice(0, before)) source.give(part)
        const got = Promise.resolve(collect(source, Buffer.from(text).length, time.timers))
        parts.slice(before).forEach((part, i) => {
          if (i === late) time.passAtOnce(2)
          source.give(part)
        })
        const isLate = late < parts.length - before
        if (isLate) expect(await got).not.toBeInstanceOf(Uint8Array)
        const trailers = trailed ? ['x-trailer', '1'] : undefined
        source.done(trailers)
        expect(await textOf(await got)).toBe(text)
        expect(time.waiting).toBe(0)
        // Fields after the body need one that ends after it.
        if (isLate || trailed) expect(((await got) as PushBody).trailers).toEqual(trailers)
        else expect(await got).toBeInstanceOf(Uint8Array)
      },
    ),
  )
})

it.each(['before', 'early', 'late'])('fails with a body that fails, is short or long: %s', async (when) => {
  const faults: [(source: Source) => void, string][] = [
    [(source) => source.lose(new Error('lost')), 'lost'],
    [(source) => source.done(), 'a body has 2 of its 4 bytes'],
    [(source) => source.give('xts'), 'a body is longer than its 4 bytes'],
    [(source) => source.cancel(new Error('left')), 'left'],
  ]
  // A body that was cancelled before can't be taken.
  for (const [fault, said] of when === 'before' ? faults.slice(0, 3) : faults) {
    const time = fakeTime()
    const source = new Source()
    source.give('te')
    if (when === 'before') fault(source)
    const got = collect(source, 4, time.timers)
    if (when === 'early') fault(source)
    if (when !== 'late') await expect(got).rejects.toThrow(said)
    else {
      time.passAtOnce(2)
      const text = textOf(await got)
      fault(source)
      await expect(text).rejects.toThrow(said)
    }
    expect(time.waiting).toBe(0)
    if (said.includes('longer')) expect(source.stopped?.message).toBe(said)
  }
})

it('a late body stops its source when it is dropped, and is one of the codes that blame the target', async () => {
  const time = fakeTime()
  const source = new Source()
  const got = collect(source, 4, time.timers)
  time.passAtOnce(2)
  ;((await got) as Body).cancel(new Error('dropped'))
  expect(source.stopped?.message).toBe('dropped')

  const short = new Source()
  short.done()
  await expect(collect(short, 4)).rejects.toMatchObject({
    code: 'http_response_incomplete',
    source: 'upstream',
  })
  const long = new Source()
  long.give('too long')
  await expect(collect(long, 4)).rejects.toMatchObject({ code: 'http_protocol_error' })
})

it('holds no more than 16 KB of what has no known length, and goes on with all of it', async () => {
  const source = new Source()
  source.give('a'.repeat(16_384))
  const time = fakeTime()
  const coming = collect(source, undefined, time.timers) as Promise<Body>
  source.give('b')
  const body = await coming
  expect(body).not.toBeInstanceOf(Uint8Array)
  source.give('c')
  source.done()
  expect(await textOf(body)).toBe(`${'a'.repeat(16_384)}bc`)
})

it('gives what has no known length as bytes where it ends in time', async () => {
  const source = new Source()
  const coming = collect(source, undefined, fakeTime().timers)
  source.give('te')
  source.give('xt')
  source.done()
  expect(String(await coming)).toBe('text')
  expect(collect(toBody('') as Body, undefined)).toEqual(new Uint8Array(0))
})
