import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import * as zlib from 'node:zlib'
import type { Variants } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { seeded } from '../../../test/kit/seeded.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { BetterForms, type Coding, encodeSync, Pressure } from './index.js'

trapUnhandled()

const random = seeded(7)
/** What a better level makes smaller, of more than one slice. */
const text = Buffer.from(
  Array.from({ length: 9_000 }, () => `${Math.floor(random() * 5000)} of ${Math.floor(random() * 30)}`).join(
    '\n',
  ),
)

/** Forms as a cache keeps them, whose entry a test can let go. */
class Forms implements Variants {
  readonly kept = new Map<string, Buffer>()
  readonly writers: Writable[] = []
  gone = false
  /** Hears of each write. */
  written: (() => void) | undefined = undefined
  bytes = 0

  get(coding: string): Buffer | undefined {
    return this.kept.get(coding)
  }

  put(coding: string): Writable | undefined {
    if (this.gone || this.writers.some((writer) => !writer.closed)) return undefined
    const parts: Buffer[] = []
    const writer: Writable = new Writable({
      write: (chunk: Buffer, _, done) => {
        this.written?.()
        this.bytes += chunk.length
        if (this.gone) writer.destroy()
        parts.push(chunk)
        done()
      },
      final: (done) => {
        this.kept.set(coding, Buffer.concat(parts))
        done()
      },
    })
    this.writers.push(writer)
    return writer
  }
}

const formsOf = (coding: Coding, level: number): Forms => {
  const forms = new Forms()
  forms.kept.set(coding, encodeSync(coding, text, { level }))
  return forms
}

function rig(hits = 3) {
  const time = fakeTime()
  const at = { wait: 0 }
  const pressure = new Pressure((told) => told(at.wait), { clock: time.now })
  const better = new BetterForms(pressure, { hits })
  return {
    better,
    /** The pool is behind from now on, or no longer. */
    press(on: boolean): void {
      at.wait = on ? 50 : 0
      for (let i = 0; i < 40; i++, time.passAtOnce(100)) void pressure.step
    },
    hit(forms: Forms, coding: Coding, times = 1): Writable | undefined {
      const before = forms.writers.length
      for (let i = 0; i < times; i++) better.hit(forms, coding, text)
      return forms.writers[before]
    },
  }
}

/** Waits until what is written has come to an end, whichever. */
async function over(writer: Writable | undefined): Promise<void> {
  expect(writer).toBeDefined()
  await finished(writer as Writable).catch(() => {})
}

describe('BetterForms', () => {
  it.each([
    ['br', 4, zlib.brotliDecompressSync],
    ['gzip', 1, zlib.gunzipSync],
    ['deflate', 1, zlib.inflateSync],
  ] as const)('makes a hot %s form again, smaller', async (coding, level, decode) => {
    const at = rig()
    const forms = formsOf(coding, level)
    const before = (forms.get(coding) as Buffer).length
    expect(at.hit(forms, coding, 2)).toBeUndefined()
    await over(at.hit(forms, coding))
    const form = forms.get(coding) as Buffer
    expect(form.length).toBeLessThan(before)
    expect(decode(form).equals(text)).toBe(true)
    expect(at.hit(forms, coding, 100)).toBeUndefined()
  })

  it('counts each coding of each object by itself', async () => {
    const at = rig()
    const all = [formsOf('gzip', 1), formsOf('gzip', 1)] as const
    for (const forms of all)
      expect([at.hit(forms, 'gzip', 2), at.hit(forms, 'br', 2)]).toEqual([undefined, undefined])
    await over(at.hit(all[1], 'gzip'))
    expect(all[0].writers).toHaveLength(0)
  })

  it('makes one at a time, in all of the process', async () => {
    const [one, other] = [rig(), rig()]
    const forms = [formsOf('gzip', 1), formsOf('gzip', 1)] as const
    const first = one.hit(forms[0], 'gzip', 3)
    expect(other.hit(forms[1], 'gzip', 50)).toBeUndefined()
    await over(first)
    await over(other.hit(forms[1], 'gzip'))
    expect(forms[1].get('gzip')?.length).toBe(forms[0].get('gzip')?.length)
  })

  it('makes none under pressure, and counts anew', async () => {
    const at = rig()
    const forms = formsOf('gzip', 1)
    at.press(true)
    expect(at.hit(forms, 'gzip', 50)).toBeUndefined()
    at.press(false)
    const hits: unknown[] = []
    for (let i = 0; i < 3 && forms.writers.length === 0; i++) hits.push(at.hit(forms, 'gzip'))
    await over(hits.at(-1) as Writable)
  })

  it('gives up under pressure, and leaves the form as it is', async () => {
    const at = rig()
    const forms = formsOf('gzip', 1)
    const before = forms.get('gzip')
    forms.written = () => at.press(true)
    await over(at.hit(forms, 'gzip', 3))
    expect([forms.get('gzip') === before, forms.writers[0]?.errored]).toEqual([true, null])
    forms.written = undefined
    at.press(false)
    expect(at.hit(forms, 'gzip', 2)).toBeUndefined()
    await over(at.hit(forms, 'gzip'))
    expect(forms.get('gzip')).not.toBe(before)
  })

  it.each([0, 1, 2])('gives up when the entry goes, after %i writes', async (writes) => {
    const at = rig()
    const forms = formsOf('gzip', 1)
    let count = 0
    forms.written = () => {
      forms.gone ||= count++ === writes
    }
    await over(at.hit(forms, 'gzip', 3))
    expect(forms.writers[0]?.writableFinished).toBe(false)
    // The next one's turn has come.
    const other = formsOf('gzip', 1)
    await over(at.hit(other, 'gzip', 3))
    expect(other.writers[0]?.writableFinished).toBe(true)
  })

  it('hears that the entry has gone before the codec gives its first byte', async () => {
    const at = rig()
    const forms = formsOf('br', 4)
    const writer = at.hit(forms, 'br', 3)
    forms.gone = true
    await over(writer)
    expect(forms.bytes).toBe(0)
  })

  it('keeps what is as small already', async () => {
    const at = rig()
    const forms = formsOf('gzip', 9)
    const before = forms.get('gzip')
    await over(at.hit(forms, 'gzip', 3))
    expect(forms.get('gzip')).toBe(before)
    expect(at.hit(forms, 'gzip', 100)).toBeUndefined()
  })

  it('leaves alone what flows, and what nobody keeps', () => {
    const { better } = rig()
    const forms = formsOf('gzip', 1)
    for (let i = 0; i < 10; i++) better.hit(forms, 'gzip', null)
    expect(forms.writers).toHaveLength(0)
    const gone = new Forms()
    gone.gone = true
    for (let i = 0; i < 10; i++) better.hit(gone, 'gzip', text)
    expect(gone.writers).toHaveLength(0)
  })
})
