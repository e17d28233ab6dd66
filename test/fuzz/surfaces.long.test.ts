import { expect, it } from 'vitest'
import { leakCheck, trapUnhandled } from '../kit/index.js'
import { variants } from './lib/numbered-proxy.mjs'
import { runSurface } from './lib/surface-run.mjs'

trapUnhandled()

it.each(['requests', 'responses', 'frames'])(
  'half a minute of mutated %s leaves nothing behind',
  async (surface) => {
    const leaks = leakCheck()
    const seed = Math.floor(Math.random() * 2 ** 31)
    for (const first of variants.keys()) {
      const { failure, taken } = await runSurface({
        surface,
        seed,
        minutes: 0.12,
        first,
        step: variants.length,
      })
      expect(failure, `seed ${seed}`).toBeUndefined()
      expect(taken).toBeGreaterThan(0)
    }
    await leaks.settled()
  },
)
