import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { codings } from '@sluice/compress'
import { describe, expect, it } from 'vitest'
import { within } from '../kit/until.js'

const [engine, proxy] = ['compress-memory-process.mjs', 'compress-leavers-process.mjs'].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
) as [string, string]
const MB = 1024 ** 2

/** What such a process says of its memory. */
async function told<T>(program: string, ...args: (string | number)[]): Promise<T> {
  const child = fork(program, args.map(String), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--expose-gc'],
  })
  try {
    const failed = once(child, 'exit').then(([code]) => {
      throw new Error(`${program} has ended with ${code}`)
    })
    const [message] = (await within(
      Promise.race([once(child, 'message'), failed]),
      args.join(' '),
      240_000,
    )) as [T]
    return message
  } finally {
    child.kill('SIGKILL')
  }
}

describe.each(codings)('bodies in %s', (coding) => {
  it('leave nothing behind when 10,000 takers leave', async () => {
    const { waves } = await told<{ waves: number[] }>(engine, 'aborts', 10_000, coding)
    // A thousand codecs that weren't freed are half a gigabyte and more; the allocator keeps some of what many threads had at once.
    expect(Math.min(...waves.slice(-3))).toBeLessThan(100 * MB)
  })

  /** What the docstring of `createEncoder` says: MB by level. */
  const bounds = {
    gzip: { 1: 1, 6: 1, 9: 1 },
    deflate: { 6: 1 },
    br: { 4: 5, 6: 5, 9: 5, 11: 12 },
    zstd: { 1: 4, 3: 4, 12: 4, 19: 6 },
  }[coding]
  it.each(Object.entries(bounds))(
    'take no more than is stated while they flow, on level %s',
    async (level, most) => {
      const { each } = await told<{ each: number }>(engine, 'held', 20, coding, level)
      expect(each).toBeLessThan(most * MB)
    },
  )
})

describe('a proxy that compresses', () => {
  it('has nothing left of 10,000 clients that leave in mid-body', async () => {
    const { made, waves } = await told<{ made: number; waves: number[] }>(proxy, 10_000)
    expect(made).toBeGreaterThan(5_000)
    expect(Math.min(...waves.slice(-3))).toBeLessThan(100 * MB)
  })
})
