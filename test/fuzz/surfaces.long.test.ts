import { expect, it } from 'vitest'
import { leakCheck } from '../kit/leak-check.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { crew } from './lib/crew.mjs'
import { variants } from './lib/numbered-proxy.mjs'

trapUnhandled()

/** Of each variant: two processors have half a minute to give in it. */
const minutes = 0.25

it.each(['requests', 'responses', 'frames'])(
  'half a minute of mutated %s leaves nothing behind',
  async (surface) => {
    const leaks = leakCheck()
    const seed = Math.floor(Math.random() * 2 ** 31)
    const { results } = await crew({
      script: new URL('lib/surface-worker.mjs', import.meta.url),
      workers: variants.length,
      data: { surface, seed, minutes },
      hangs: 180_000,
      hung: ([runs, first]) => ({
        runs,
        taken: 0,
        failure: { wrong: 'it hangs', runs: [first] },
      }),
      tell: () => {},
    })
    for (const { failure, taken } of results) {
      expect(failure, `seed ${seed}`).toBeUndefined()
      expect(taken).toBeGreaterThan(0)
    }
    await leaks.settled()
  },
)
