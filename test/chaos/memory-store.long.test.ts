import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { within } from '../kit/until.js'

const program = fileURLToPath(new URL('memory-store-process.mjs', import.meta.url))

interface Told {
  readonly count: number
  readonly bytes: number
  readonly countAfter: number
  readonly bytesAfter: number
  readonly overBodies: number
  readonly withRoom: number
  readonly withoutRoom: number
}

/** Puts so many entries into a store of so many MB that has a process to itself, and then more. */
async function filled(entries: number, megabytes: number, after: number): Promise<Told> {
  const child = fork(program, [entries, megabytes, after].map(String), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // What a machine with little memory would be given is less than the store is allowed.
    execArgv: ['--max-old-space-size=4096'],
  })
  try {
    const [told] = (await within(once(child, 'message'), 'a store to be filled', 240_000)) as [Told]
    return told
  } finally {
    child.kill('SIGKILL')
  }
}

const GB = 1e9

describe('memoryStore with a million small entries', () => {
  it('takes less than a gigabyte beside their bodies, and says what it takes', async () => {
    const told = await filled(1_000_000, 1_000, 1_000)
    expect(told.count).toBe(1_000_000)
    expect(told.overBodies).toBeLessThan(GB)
    // What it counts is what the process takes, within a third: the rest is what the collector leaves for later.
    const taken = told.overBodies + told.count * 100
    expect(told.bytes).toBeGreaterThan(taken / 1.33)
    expect(told.bytes).toBeLessThan(taken * 1.33)
    expect(told.bytesAfter).toBeLessThanOrEqual(1_000 * 1024 ** 2)
  })

  it('lets one go for each that comes at less than 10 µs of CPU', async () => {
    const told = await filled(65_000, 64, 200_000)
    expect(told.count).toBe(65_000)
    expect(told.countAfter).toBeGreaterThan(65_000)
    expect(told.countAfter).toBeLessThan(85_000)
    expect(told.bytesAfter).toBeLessThanOrEqual(64 * 1024 ** 2)
    expect(told.withoutRoom - told.withRoom).toBeLessThan(10)
  })
})
