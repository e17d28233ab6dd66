import type { Writable } from 'node:stream'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { CodedForms } from './coded-forms.js'

trapUnhandled()

const most = 1_000
const perForm = 500
const room = 3_500
const codings = ['zstd', 'br', 'gzip'] as const

interface Model {
  /** Bytes of each form that is kept. */
  readonly kept: Map<string, number>
  readonly writing: Map<string, { readonly writer: Writable; size: number; given: boolean }>
  alive: boolean
}

const taken = ({ kept }: Model): number => [...kept.values()].reduce((sum, size) => sum + size + perForm, 0)
/** What all would take with a form of this size in its place. */
const withForm = (model: Model, coding: string, size: number): number =>
  taken({ ...model, kept: new Map(model.kept).set(coding, size) })
const mayKeep = (model: Model, coding: string, size: number): boolean =>
  model.alive && size <= most && withForm(model, coding, size) <= room

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('put' as const), coding: fc.constantFrom(...codings) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      coding: fc.constantFrom(...codings),
      size: fc.constantFrom(0, 1, 300, 500, 999),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('end' as const), coding: fc.constantFrom(...codings) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('destroy' as const), coding: fc.constantFrom(...codings) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('gone' as const) }) },
)

it('what is kept is what has finished last, and is counted at any moment, whatever writes beside', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const model: Model = { kept: new Map(), writing: new Map(), alive: true }
      let told = 0
      const forms: CodedForms = new CodedForms(
        most,
        (added) => model.alive && forms.bytes + added <= room,
        () => {
          told = forms.bytes
        },
      )
      for (const one of steps) {
        if (one.do === 'gone') {
          model.alive = false
        } else {
          const { coding } = one
          const at = model.writing.get(coding)
          if (one.do === 'put') {
            const writer = forms.put(coding)
            expect(writer !== undefined).toBe(at === undefined && mayKeep(model, coding, 0))
            if (writer !== undefined) model.writing.set(coding, { writer, size: 0, given: false })
          } else if (at !== undefined) {
            if (one.do === 'write') {
              at.writer.write(new Uint8Array(one.size))
              at.size += one.size
              // Nothing in, nothing asked.
              if (one.size > 0 || at.writer.destroyed) {
                expect(at.writer.destroyed).toBe(!mayKeep(model, coding, at.size))
                if (at.writer.destroyed) model.writing.delete(coding)
              }
            } else if (one.do === 'destroy') {
              at.writer.destroy()
              model.writing.delete(coding)
            } else {
              at.writer.end()
              await new Promise(setImmediate)
              model.writing.delete(coding)
              if (mayKeep(model, coding, at.size)) model.kept.set(coding, at.size)
            }
          }
        }
        expect(forms.bytes).toBe(taken(model))
        expect(told).toBe(forms.bytes)
        for (const coding of codings)
          expect((forms.get(coding) as Uint8Array | undefined)?.length).toBe(model.kept.get(coding))
      }
    }),
  )
})
