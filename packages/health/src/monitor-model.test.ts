import { createUpstream, type Target } from '@sluice/upstream'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { seeded } from '../../../test/kit/seeded.js'
import { monitor } from './index.js'

const behaviours = ['passes', 'fails', 'throws', 'hangs', 'passes late', 'is slow'] as const
type Behaviour = (typeof behaviours)[number]

const steps = fc.oneof(
  fc.tuple(fc.constant('is'), fc.nat(5), fc.constantFrom(...behaviours)),
  fc.tuple(fc.constant('pass'), fc.oneof(fc.nat(900), fc.nat(20_000)), fc.constant(undefined)),
  fc.tuple(fc.constant('sleep'), fc.nat(100_000), fc.constant(undefined)),
  fc.tuple(fc.constant('jump'), fc.integer({ min: -100_000, max: 100_000 }), fc.constant(undefined)),
  fc.tuple(fc.constant('replace'), fc.nat(63), fc.constant(undefined)),
)

/** All that promises have to say is said. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('knows in the end how each target is, probes each once at a time, and leaves nothing behind', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { maxLength: 25, size: 'max' }),
      fc.constantFrom(0, 1_000),
      fc.integer(),
      async (list, timeout, seed) => {
        const time = fakeTime()
        let off = 0
        const ids = (bits: number): string[] =>
          [0, 1, 2, 3, 4, 5].filter((bit) => (bits >> bit) % 2 === 1).map((bit) => `http://t${bit}`)
        const upstream = createUpstream({ name: 'x', targets: ids(7) }, 'x', () => time.now() + off)
        const is = new Map<string, Behaviour>()
        const running = new Map<Target, AbortSignal>()
        const faults: string[] = []
        const probe = async (target: Target, signal: AbortSignal): Promise<void> => {
          if (!upstream.all.includes(target as never)) faults.push(`${target.id} has left`)
          if (running.get(target)?.aborted === false) faults.push(`${target.id} is probed twice at once`)
          const how = is.get(target.id) ?? 'passes'
          if (how === 'throws') throw new Error('at once')
          running.set(target, signal)
          await new Promise<void>((resolve, reject) => {
            const end = (): void => {
              if (running.get(target) === signal) running.delete(target)
              if (how === 'fails') reject(new Error('no'))
              else resolve()
            }
            if (how === 'hangs') signal.addEventListener('abort', () => reject(signal.reason))
            else if (how === 'passes late') signal.addEventListener('abort', end)
            else time.timers.set(end, how === 'is slow' ? 700 : 0)
          })
        }
        const watch = monitor(
          upstream,
          probe,
          { interval: 5_000, unhealthyInterval: 1_000, timeout, jitter: 0.2 },
          { timers: time.timers, random: seeded(seed) },
        )
        upstream.on('state', ({ from, to, reason }) => {
          if (from === to || reason === '') faults.push(`${from} -> ${to}: ${reason}`)
        })
        for (const [op, n, how] of list) {
          if (op === 'is') is.set(`http://t${n}`, how as Behaviour)
          else if (op === 'pass') await time.pass(n)
          else if (op === 'sleep') time.sleep(n)
          else if (op === 'jump') off += n
          else upstream.replace(ids(n))
          await turn()
          expect(faults).toEqual([])
        }
        // From here on each stays as it is: nobody hangs where nothing would end that.
        for (const [id, how] of is) if (timeout === 0 && /hangs|late/.test(how)) is.set(id, 'passes')
        if (timeout === 0) upstream.replace([])
        upstream.replace(ids(63))
        await time.pass(60_000)
        for (const target of upstream.all) {
          const fit = ['passes', 'is slow'].includes(is.get(target.id) ?? 'passes')
          expect([target.id, target.state]).toEqual([target.id, fit ? 'healthy' : 'unhealthy'])
        }
        watch[Symbol.dispose]()
        await time.pass(10_000)
        expect(upstream.all.some(({ state }) => state === 'unhealthy')).toBe(false)
        for (const signal of running.values()) expect(signal.aborted).toBe(true)
        expect([time.waiting, faults]).toEqual([0, []])
      },
    ),
    { numRuns: 100 },
  )
})
