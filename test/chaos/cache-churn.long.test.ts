import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { within } from '../kit/until.js'

const program = fileURLToPath(new URL('cache-churn-process.mjs', import.meta.url))

interface Told {
  /** Resident bytes, along the way. */
  readonly samples: readonly number[]
  readonly hits: number
  readonly wrong: number
  readonly fetches: number
}

it('a hundred thousand URLs go through a store of 8 MB in an hour, and the process does not grow', async () => {
  const urls = 100_000
  const child = fork(program, [urls, 8 * 1024 ** 2].map(String), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--expose-gc', '--max-old-space-size=256'],
  })
  try {
    const [told] = (await within(once(child, 'message'), 'the hour to pass', 120_000)) as [Told]
    expect(told.wrong).toBe(0)
    expect(told.hits).toBeGreaterThan(urls / 10)
    expect(told.fetches).toBeGreaterThan(urls)
    const third = Math.floor(told.samples.length / 3)
    const most = (samples: readonly number[]): number => Math.max(...samples)
    // From the second third on it has what it needs.
    const grown = most(told.samples.slice(-third)) - most(told.samples.slice(third, 2 * third))
    expect(grown).toBeLessThan(16 * 1024 ** 2)
    expect(most(told.samples)).toBeLessThan(300 * 1024 ** 2)
  } finally {
    child.kill('SIGKILL')
  }
})
