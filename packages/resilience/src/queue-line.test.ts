import fc from 'fast-check'
import { expect, it } from 'vitest'
import { QueueLine, type QueueRefusal, Waiter } from './queue-line.js'

/** One of a kind: who waits may go where others of its kind may. */
class One extends Waiter {
  constructor(
    readonly kind: number,
    readonly told: string[],
    readonly name: number,
  ) {
    super()
  }
  override alike(other: One): boolean {
    return other.kind === this.kind
  }
  serve(): void {
    this.told.push(`${this.name} served`)
  }
  refuse(why: QueueRefusal): void {
    this.told.push(`${this.name} ${why}`)
  }
}

type Step =
  | { do: 'join'; kind: number; anyhow: boolean }
  | { do: 'serve'; kinds: readonly number[] | undefined }
  | { do: 'leave' | 'late'; nth: number }
  | { do: 'clear' }

const kind = fc.nat(3)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('join' as const), kind, anyhow: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('serve' as const),
      kinds: fc.option(fc.uniqueArray(kind), { nil: undefined }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('leave' as const, 'late' as const), nth: fc.nat(40) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'clear' as const }) },
)

it.each(['fifo', 'lifo'] as const)('serves as a plain list would that is gone through, %s', (order) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const timers = new Map<number, () => void>()
      let name = 0
      const line = new QueueLine({ length: 4, timeout: 1, order, retryAfter: 0 }, (_ms, fn) => {
        const own = name
        timers.set(own, fn)
        return () => void timers.delete(own)
      })
      const told: string[] = []
      const plain: string[] = []
      const ones: One[] = []
      let list: One[] = []
      const gone = (one: One | undefined, end: string): void => {
        if (one === undefined) return
        list = list.filter((each) => each !== one)
        if (end !== 'left') plain.push(`${one.name} ${end}`)
      }
      for (const each of steps) {
        if (each.do === 'join') {
          const one = new One(each.kind, told, ++name)
          ones.push(one)
          const fits = each.anyhow || list.length < 4
          expect(line.join(one, each.anyhow)).toBe(fits)
          if (fits) list.push(one)
        } else if (each.do === 'serve') {
          const { kinds } = each
          const may = kinds === undefined ? undefined : (one: Waiter) => kinds.includes((one as One).kind)
          const next = (order === 'fifo' ? list : list.toReversed()).find((one) => may?.(one) ?? true)
          expect(line.next(may)).toBe(next)
          expect(line.serve(may)).toBe(next !== undefined)
          gone(next, 'served')
        } else if (each.do === 'clear') {
          line.clear('queue_closed')
          // Between kinds nobody is told first.
          told.sort()
          for (const one of list) gone(one, 'queue_closed')
          plain.sort()
        } else {
          const one = ones[each.nth]
          const waits = one !== undefined && list.includes(one)
          if (each.do === 'late') timers.get(one?.name ?? 0)?.()
          else if (one !== undefined) expect(line.leave(one)).toBe(waits)
          if (waits) gone(one, each.do === 'late' ? 'queue_timeout' : 'left')
        }
        expect([line.size, line.full, timers.size]).toEqual([list.length, list.length >= 4, list.length])
        expect(told).toEqual(plain)
      }
    }),
  )
})
