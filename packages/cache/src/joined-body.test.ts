import { Readable } from 'node:stream'
import { type Body, type BodyInit, PushBody, toBody, toReadable } from '@sluice/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { joinedBody } from './joined-body.js'
import { sliceBody } from './slice-body.js'

/** A body whose parts the test sends. */
class HandBody extends PushBody {
  stopped: Error | undefined
  asked = 0
  constructor(length?: number) {
    super()
    if (length !== undefined) (this as { length?: number }).length = length
  }
  send(text: string): boolean {
    return this.push(Buffer.from(text))
  }
  close(): void {
    this.finish()
  }
  break(error: Error): void {
    this.fail(error)
  }
  protected resume(): void {
    this.asked++
  }
  protected stop(why: Error): void {
    this.stopped = why
  }
}

/** Takes a body, with as much room as is told. */
class Taker {
  text = ''
  ended: 'whole' | Error | undefined
  room = true
  drain: () => void = () => {}
  constructor(body: BodyInit) {
    ;(toBody(body) as Body).pipe({
      write: (chunk) => {
        this.text += Buffer.from(chunk).toString()
        return this.room
      },
      end: () => {
        this.ended = 'whole'
      },
      abort: (error) => {
        this.ended = error
      },
      onDrain: (fn) => {
        this.drain = fn
      },
    })
  }
}

async function read(body: BodyInit): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of toReadable(body)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const split = (text: string, at: number[]): string[] => {
  const cuts = [...at.map((cut) => cut % (text.length + 1)), 0, text.length].sort((a, b) => a - b)
  return cuts.slice(1).map((cut, i) => text.slice(cuts[i], cut))
}

describe('sliceBody', () => {
  const text = 'abcdefghijklmnopqrstuvwxyz'

  it('gives the bytes asked for, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 6 }), fc.nat(26), fc.nat(26), async (cuts, a, b) => {
        const from = Math.min(a, b)
        const to = Math.max(a, b)
        const body = sliceBody(
          Readable.from(split(text, cuts).map((part) => Buffer.from(part))),
          from,
          to,
        ) as Body
        expect(body.length).toBe(to - from)
        expect(await read(body)).toBe(text.slice(from, to))
      }),
    )
    expect(await read(sliceBody(text, 3, 5))).toBe('de')
    expect(await read(sliceBody(Buffer.from(text), 3, 5))).toBe('de')
  })

  it('stops the source once it has enough', () => {
    const source = new HandBody()
    const taker = new Taker(sliceBody(source, 1, 3))
    expect(source.send('ab')).toBe(true)
    expect(source.stopped).toBeUndefined()
    expect(source.send('cd')).toBe(false)
    expect(taker).toMatchObject({ text: 'bc', ended: 'whole' })
    expect(source.stopped?.message).toMatch(/not wanted/)
  })

  it('hears a source to its end where that is the end of the slice', () => {
    const source = new HandBody(4)
    const taker = new Taker(sliceBody(source, 1, 4))
    source.send('abcd')
    expect(taker.ended).toBeUndefined()
    source.close()
    expect(taker).toMatchObject({ text: 'bcd', ended: 'whole' })
    expect(source.stopped).toBeUndefined()

    const wrong = new HandBody(4)
    const other = new Taker(sliceBody(wrong, 1, 4))
    wrong.send('abcd')
    wrong.break(new Error('the checksum is wrong'))
    expect(other.ended).toEqual(new Error('the checksum is wrong'))
  })

  it('has memory freed of those parts alone that it passes on as they came', () => {
    const freed: string[] = []
    class Spending extends HandBody {
      spend(text: string): void {
        this.push(Buffer.from(text), (chunk) => freed.push(Buffer.from(chunk).toString()))
      }
    }
    const source = new Spending(6)
    const body = sliceBody(source, 1, 6) as Body
    body.pipe({
      write: (chunk, spent?: (chunk: Uint8Array) => void) => {
        spent?.(chunk)
        return true
      },
      end: () => {},
      abort: () => {},
      onDrain: () => {},
    })
    source.spend('ab')
    source.spend('cd')
    source.spend('ef')
    expect(freed).toEqual(['cd', 'ef'])
  })

  it('fails where the source ends before', () => {
    const source = new HandBody()
    const taker = new Taker(sliceBody(source, 1, 9))
    source.send('abcd')
    source.close()
    expect(taker.ended).toEqual(new Error('the body has 4 bytes, where 9 were to come'))
  })

  it('stops the source when it is cancelled, and lets it wait when the sink is full', () => {
    const source = new HandBody()
    const body = sliceBody(source, 0, 9) as Body
    const taker = new Taker(body)
    taker.room = false
    expect(source.send('ab')).toBe(false)
    taker.drain()
    expect(source.asked).toBe(1)
    body.cancel(new Error('gone'))
    expect(source.stopped?.message).toBe('gone')
    expect(taker.ended).toEqual(new Error('gone'))
  })
})

describe('joinedBody', () => {
  it('gives all of its parts', async () => {
    const part = fc.oneof(
      fc.string().map((text) => ({ text, body: (): BodyInit => text })),
      fc.string().map((text) => ({ text, body: (): BodyInit => Buffer.from(text) })),
      fc
        .string({ minLength: 1 })
        .map((text) => ({ text, body: (): BodyInit => Readable.from([Buffer.from(text)]) })),
      fc.constant({ text: '', body: (): BodyInit => null }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
        const body = joinedBody(parts.map((one) => one.body()))
        expect(await read(body)).toBe(parts.map((one) => one.text).join(''))
      }),
    )
  })

  it('knows its length where each part does', () => {
    expect(joinedBody(['ab', new HandBody(3)]).length).toBe(5)
    expect(joinedBody(['ab', new HandBody()]).length).toBeUndefined()
  })

  it('begins a part when the one before has ended and there is room', () => {
    const second = new HandBody(2)
    const taker = new Taker(joinedBody(['', second, 'ef']))
    expect(taker.text).toBe('')
    taker.room = false
    expect(second.send('cd')).toBe(false)
    second.close()
    expect(taker).toMatchObject({ text: 'cd', ended: undefined })
    taker.room = true
    taker.drain()
    expect(taker).toMatchObject({ text: 'cdef', ended: 'whole' })
  })

  it('fails with a part, and cancels those behind', () => {
    const [first, second] = [new HandBody(), new HandBody()]
    const taker = new Taker(joinedBody([first, second]))
    first.send('a')
    first.break(new Error('lost'))
    expect(taker.ended).toEqual(new Error('lost'))
    expect(second.stopped?.message).toBe('lost')
  })

  it('fails where a part has other bytes than it told', () => {
    const part = new HandBody(3)
    const taker = new Taker(joinedBody(['a', part]))
    part.send('bc')
    part.close()
    expect(taker.ended).toEqual(new Error('the body has 3 bytes, where 4 were to come'))
  })

  it('fails before a byte more than told is given, and cancels its parts', () => {
    const [first, second] = [new HandBody(), new HandBody()]
    const body = joinedBody([first, second], 3)
    expect(body.length).toBe(3)
    const taker = new Taker(body)
    first.send('ab')
    expect(first.send('cd')).toBe(false)
    expect(taker).toMatchObject({
      text: 'ab',
      ended: new Error('the body has 4 bytes, where 3 were to come'),
    })
    expect(first.stopped).toBeDefined()
    expect(second.stopped).toBeDefined()
  })

  it('cancels all that has not ended', () => {
    const parts = [new HandBody(), new HandBody(), new HandBody()]
    const body = joinedBody(parts)
    new Taker(body)
    parts[0]?.close()
    body.cancel(new Error('gone'))
    expect(parts.map((part) => part.stopped?.message)).toEqual([undefined, 'gone', 'gone'])

    const untaken = new HandBody()
    joinedBody([untaken]).cancel(new Error('gone'))
    expect(untaken.stopped?.message).toBe('gone')
  })

  it('of many parts does not call itself for each', async () => {
    expect((await read(joinedBody(Array.from({ length: 50_000 }, () => 'a')))).length).toBe(50_000)
  })
})
