import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import { PushBody, type Sink } from '@sluice/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import type { Codec } from './coding.js'
import { EncodedBody } from './encoded-body.js'

trapUnhandled()

class Source extends PushBody {
  stopped = 0
  give(text: string): void {
    this.push(Buffer.from(text))
  }
  done(): void {
    this.finish()
  }
  lose(): void {
    this.fail(new Error('lost'))
  }
  protected resume(): void {}
  protected stop(): void {
    this.stopped++
  }
}

/** Codes nothing, but holds what it gets until it is flushed or ended, and is done with a job when the test says so. */
class SlowCodec extends EventEmitter {
  got = ''
  destroyed = false
  ended = false
  flushes = 0
  paused = false
  private held = ''
  private job: (() => void) | undefined
  readonly faults: string[] = []

  constructor(private readonly flushed: boolean) {
    super()
  }
  get atWork(): boolean {
    return this.job !== undefined
  }
  write(chunk: Uint8Array, done: () => void): void {
    this.begin(() => {
      this.held += chunk
      if (this.flushed) this.give()
      done()
    })
    this.got += chunk
  }
  flush(_kind: number, done: () => void): void {
    if (this.held === '') this.faults.push('an empty flush')
    this.flushes++
    this.begin(() => {
      this.give()
      done()
    })
  }
  end(): void {
    this.ended = true
    this.begin(() => {
      this.give()
      this.emit('end')
    })
  }
  work(): void {
    // As a stream whose reader doesn't read.
    if (this.paused) return
    const { job } = this
    this.job = undefined
    if (!this.destroyed) job?.()
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
  destroy(): void {
    this.destroyed = true
  }
  private begin(job: () => void): void {
    if (this.destroyed) this.faults.push('work after its end')
    if (this.job !== undefined) this.faults.push('two jobs at once')
    this.job = job
  }
  private give(): void {
    const { held } = this
    this.held = ''
    if (held !== '') this.emit('data', Buffer.from(held))
  }
}

class Taker implements Sink {
  text = ''
  ends: string[] = []
  room = true
  drain: (() => void) | undefined
  write(chunk: Uint8Array): boolean {
    this.text += chunk
    return this.room
  }
  end(): void {
    this.ends.push('whole')
  }
  abort(error: Error): void {
    this.ends.push(error.message)
  }
  onDrain(fn: () => void): void {
    this.drain = fn
  }
}

const steps = [
  ...(['give', 'give', 'give', 'turn', 'turn', 'work', 'work', 'wait'] as const),
  ...(['block', 'drain', 'pipe', 'done', 'lose', 'leave', 'break'] as const),
]

it('passes each byte on, flushes what rests, and ends once, whatever comes when', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...steps), { maxLength: 40 }),
      fc.constantFrom('event' as const, 'pause' as const),
      async (run, flush) => {
        const time = fakeTime()
        const source = new Source()
        const taker = new Taker()
        const codecs: SlowCodec[] = []
        let copied = ''
        const tee = new Writable({
          write(chunk, _encoding, done) {
            copied += chunk
            done()
          },
        })
        const body = new EncodedBody(
          source,
          'gzip',
          { level: 1, flush, tee, timers: time.timers },
          (...args) => {
            const codec = new SlowCodec(args[2] === true)
            codecs.push(codec)
            return codec as unknown as Codec
          },
        )
        const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
        let given = ''
        let piped = false
        /** How the source and the taker stand, and what the end is to be. */
        let open = true
        let end: string | undefined
        const take = (): void => {
          piped = true
          body.pipe(taker)
        }
        const settle = (what: string): void => {
          end ??= what
          open = false
        }

        for (const step of run) {
          const codec = codecs[0]
          if (step === 'give' && open) {
            const text = `<${given.length}>`
            given += text
            source.give(text)
          } else if (step === 'turn') await turn()
          else if (step === 'work') codec?.work()
          else if (step === 'wait') time.passAtOnce(4)
          else if (step === 'block') taker.room = false
          else if (step === 'drain') {
            taker.room = true
            taker.drain?.()
          } else if (step === 'pipe' && !body.taken) take()
          else if (step === 'done' && open) {
            open = false
            source.done()
          } else if (step === 'lose' && open) {
            settle('lost')
            source.lose()
          } else if (step === 'leave') {
            if (taker.ends.length === 0) settle('left')
            body.cancel(new Error('left'))
          } else if (step === 'break' && codec !== undefined && taker.ends.length === 0) {
            settle('the gzip coder failed: broken')
            codec.emit('error', new Error('broken'))
          }
          expect(given.startsWith(taker.text)).toBe(true)
          const atRest = codec?.atWork === false && open
          expect(time.waiting).toBeLessThanOrEqual(codec !== undefined && open ? (atRest ? 2 : 1) : 0)
          if (taker.ends.length > 0) expect(taker.ends).toEqual([end ?? 'whole'])
          if (end !== undefined && piped) expect(codecs.every(({ destroyed }) => destroyed)).toBe(true)
        }

        taker.room = true
        taker.drain?.()
        if (!body.taken) take()
        for (let i = 0; i < 6; i++) {
          await turn()
          codecs[0]?.work()
          time.passAtOnce(4)
        }
        const [codec] = codecs
        const whole = !open && end === undefined
        if (end === undefined) expect([taker.text, codec?.got ?? '']).toEqual([given, given])
        const told = end ?? (whole ? 'whole' : undefined)
        if (piped) expect(taker.ends).toEqual(told === undefined ? [] : [told])
        expect(codecs.length).toBeLessThanOrEqual(1)
        expect(codec?.faults ?? []).toEqual([])
        if (whole) expect(codec?.ended).toBe(true)
        if (end === 'lost') expect(codec?.ended ?? false).toBe(false)
        expect(time.waiting).toBe(0)
        await turn()
        expect(tee.writableFinished).toBe(whole)
        expect(tee.destroyed).toBe(told !== undefined)
        expect(taker.text.startsWith(copied) && copied.length === taker.text.length).toBe(true)
        if (flush === 'event') expect(codec?.flushes ?? 0).toBe(0)
        body.cancel()
      },
    ),
    { numRuns: 400 },
  )
})
