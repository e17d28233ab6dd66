import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { within } from '../kit/until.js'

const program = fileURLToPath(new URL('limiter-keys-process.mjs', import.meta.url))

interface Told {
  readonly size: number
  readonly sizeAfter: number
  /** Bytes over the idle process: with no key yet, when it is full, and when as many keys have come again. */
  readonly made: number
  readonly full: number
  readonly after: number
  /** Microseconds of CPU for a key that comes when it is full. */
  readonly perKey: number
}

async function filled(kind: string, keys: number): Promise<Told> {
  const child = fork(program, [kind, String(keys)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--expose-gc'],
  })
  try {
    const [told] = (await within(once(child, 'message'), 'a limiter to be filled', 240_000)) as [Told]
    return told
  } finally {
    child.kill('SIGKILL')
  }
}

const MB = 1e6

// At once: each is measured in a process of its own.
describe.concurrent.each(['gcra', 'token-bucket', 'sliding-window'])('%s with a million keys', (kind) => {
  it('takes less than 250 MB over the idle process, and little more when as many others have come', async () => {
    const told = await filled(kind, 1_000_000)
    console.log(
      `${kind}: ${Math.round(told.full / MB)} MB with a million keys, ${Math.round(told.after / MB)} MB after a second million, ` +
        `${Math.round(told.made / MB)} MB with none, ${told.perKey.toFixed(1)} µs for a key when full`,
    )
    expect(told.size).toBe(1_000_000)
    expect(told.sizeAfter).toBe(1_000_000)
    expect(told.full).toBeLessThan(250 * MB)
    // The table of the keys grows once more when it has more that are gone than it has room for, and leaves the old one to the collector.
    expect(told.after).toBeLessThan(told.full + 150 * MB)
  })
})
